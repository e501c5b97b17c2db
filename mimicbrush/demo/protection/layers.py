"""The layers of protection in the order in which a request passes them."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mimicbrush.demo.config import DemoConfig
from mimicbrush.demo.preconditions import read_password
from mimicbrush.demo.protection.login import Login
from mimicbrush.demo.protection.origins import SameOrigin
from mimicbrush.demo.protection.refusals import Refusals
from mimicbrush.demo.protection.request_bodies import RequestBodies
from mimicbrush.demo.protection.response_headers import ResponseHeaders
from mimicbrush.demo.protection.upload_quotas import UploadQuotas
from mimicbrush.demo.temporary_folders import TemporaryFolders


def protection_layers(config: DemoConfig, folders: TemporaryFolders) -> list[Middleware]:
    """Make the layers, the outermost first; raises UserError if the password cannot be read."""
    layers = [
        Middleware(ResponseHeaders),
        # Names of other sites that resolve to this address (DNS rebinding) are refused.
        Middleware(TrustedHostMiddleware, allowed_hosts=config.names, www_redirect=False),
        Middleware(Refusals),
        Middleware(SameOrigin, names=config.allowed_hosts),
    ]
    if config.password_file is not None:
        layers.append(Middleware(Login, password=read_password(config.password_file), port=config.port))
    return [*layers, Middleware(UploadQuotas, limits=config.limits, folders=folders), Middleware(RequestBodies)]
