"""The recipes that ship, one TOML file each; `vidaug recipes` lists them."""
