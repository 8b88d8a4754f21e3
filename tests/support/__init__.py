"""Hold what several tests share: samples, models, films, studies, and the tools that print tables."""
