"""The one place that builds adapters from settings: `policies` without any store or network, `service` with all."""
