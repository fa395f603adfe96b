"""A WSGI application; `app = Flask(__name__)` or Django's get_wsgi_application() go the same way."""


def app(environ, start_response):
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    body = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} with {size} bytes\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
