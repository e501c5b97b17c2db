from __future__ import annotations

import re

from mimicbrush.demo.protection.response_headers import INLINE_SCRIPT, page_policy


def test_inline_scripts_are_allowed_by_their_hashes_alone():
    page = b'<script>let a = "<b>";\n</script><script async src="/a.js"></script><SCRIPT data-x>b</SCRIPT><p>c</p>'
    scripts = INLINE_SCRIPT.findall(page)
    assert scripts == [b'let a = "<b>";\n', b"b"]
    policy = page_policy(scripts)
    # The second hash by: printf b | openssl dgst -sha256 -binary | base64
    assert "'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='" in policy
    (rule,) = re.findall(r"script-src ([^;]*)", policy)
    assert rule.count("sha256-") == 2 and "unsafe-inline" not in rule
