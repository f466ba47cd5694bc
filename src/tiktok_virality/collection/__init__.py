"""Finding and fetching public videos of a site: pages, browser, downloads, and what is noted."""
