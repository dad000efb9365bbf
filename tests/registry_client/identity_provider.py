"""An OpenID provider by TLS, with HCP's paths. Prints its port; anybody may log in."""

import oidc_provider_mock
from oidc_provider_mock import _app
from werkzeug.serving import make_server

# As HCP's, the client of the command line has no secret.
for grant in (_app.AuthorizationCodeGrant, _app.RefreshTokenGrant):
    grant.TOKEN_ENDPOINT_AUTH_METHODS = ["none"]
provider = oidc_provider_mock.app()


def with_paths_of_hcp(environ, start_response):
    if environ["PATH_INFO"] == "/oauth2/auth":
        environ["PATH_INFO"] = "/oauth2/authorize"
    return provider(environ, start_response)


server = make_server("127.0.0.1", 0, with_paths_of_hcp, ssl_context="adhoc", threaded=True)
print(server.port, flush=True)
server.serve_forever()
