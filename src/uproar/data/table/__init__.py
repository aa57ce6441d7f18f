"""Tables: from files to encoded columns."""
