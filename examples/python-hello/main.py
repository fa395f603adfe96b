"""A plain function: called in a thread with the request; what it returns is the answer."""


def handler(request):
    name = request.query.get("name", "world")
    print(f"saying hello to {name}")
    return f"Hello, {name}!\n"
