"""Reports: shards, runs and sweeps as one page of HTML that needs nothing else."""
