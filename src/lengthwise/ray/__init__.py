"""Several vLLM replicas on Ray Serve behind our routers (``pip install lengthwise[ray]``)."""
