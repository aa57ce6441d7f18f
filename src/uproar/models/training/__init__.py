"""Many trainings at once: what stands between a recipe and fitted arms."""
