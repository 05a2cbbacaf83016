"""Grafana's dashboards, made from the metric catalogue: ``python -m deploy.grafana`` writes them."""
