"""Bob's phone uploads KeyPackages, and Alice's takes them, by a client that was generated from the server's OpenAPI document.

scripts/openapi-client generates it, and runs this: story.py ADDRESS FILE_OF_AN_UPLOAD
"""

import json
import sys

from keypackage_pools import AuthenticatedClient
from keypackage_pools.api.handing_out import claim, release, renew, reserve, spend
from keypackage_pools.api.own_pool import status, sync, upload, withdraw
from keypackage_pools.models import (
    Problem,
    SpendRequest,
    SyncRequest,
    TakeRequest,
    TokensRequest,
    UploadRequest,
    WithdrawRequest,
)

address, file = sys.argv[1:]
bob = AuthenticatedClient(base_url=address, token="bob-phone")
alice = AuthenticatedClient(base_url=address, token="alice-phone")


def promise(what, kept):
    if not kept:
        sys.exit(f"not as promised: {what}")
    print(f"  ✓ {what}")


with open(file) as body:
    packages = UploadRequest.from_dict(json.load(body))
uploaded = upload.sync(client=bob, body=packages)
promise("Bob's three KeyPackages are saved", uploaded.outcomes == ["saved"] * 3)
promise("the same upload again stores nothing", upload.sync(client=bob, body=packages).outcomes == ["already_stored"] * 3)

wanted = TakeRequest(ciphersuites=[1])
lent = reserve.sync("bob", client=alice, body=wanted, idempotency_key="tea").devices[0].answer.ok
again = reserve.sync("bob", client=alice, body=wanted, idempotency_key="tea").devices[0].answer.ok
promise("the same key gets the same KeyPackage", lent.key_package == again.key_package)
tokens = [lent.lease.token]
longer = renew.sync(client=alice, body=TokensRequest(tokens=tokens)).answers[0].ok
promise("a lease is renewed", longer.expires_at >= lent.lease.expires_at)
receipt = spend.sync(client=alice, body=SpendRequest(tokens=tokens, group="0a")).answers[0].ok
promise("a spend has a receipt", receipt.key_package_ref == lent.key_package_ref)
late = release.sync(client=alice, body=TokensRequest(tokens=tokens))
promise("what is spent is not given back", isinstance(late, Problem) and late.code == "already_spent")

got = claim.sync("bob", client=alice, body=TakeRequest(), idempotency_key="cake").devices[0].answer.ok
promise("a claim gets another KeyPackage", got.key_package_ref != lent.key_package_ref and not got.last_resort)

known = sync.sync(client=bob, body=SyncRequest(refs=[lent.key_package_ref, got.key_package_ref]))
causes = [one.spent.cause for one in known.yours]
promise("Bob's phone is told that both are used", causes == ["used", "used"] and len(known.unknown_to_you) == 1)
left = status.sync(client=bob)
promise("the pool is low", left.health == "low" and left.ciphersuites["1"].counts.available == 1)
gone = withdraw.sync(client=bob, body=WithdrawRequest(all_=True)).withdrawn
promise("what is left is withdrawn", [one.outcome for one in gone] == ["withdrawn"])
none = claim.sync("bob", client=alice, body=TakeRequest(), idempotency_key="pie")
promise("an empty pool is told from a failure", isinstance(none, Problem) and none.code == "pool_exhausted")
refused = status.sync(client=AuthenticatedClient(base_url=address, token="nobody"))
promise("a stranger is refused", isinstance(refused, Problem) and refused.code == "unauthorized")
