"""Where the jobs of a fit run: threads, processes, a Dask cluster; how they travel, report and are stopped."""
