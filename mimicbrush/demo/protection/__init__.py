"""Protection of the page: layers between the network and Gradio, each of which refuses one kind of request."""
