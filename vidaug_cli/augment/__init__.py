"""`vidaug augment` and what looks at its folders: plan, render, inspect, verify, replay, preview."""
