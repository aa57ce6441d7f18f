"""uproar: which explanation of your model can you trust, and how sure can you be of it?"""

import lazy_loader

__version__ = "0.1.0"

# Public names stand in the stub beside this file and are imported on use: ``import uproar`` alone
# takes no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
