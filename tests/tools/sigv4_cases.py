"""Random signing cases with botocore's answer to each stage.

Used by sigv4_compare.test.py (fresh cases each run), and by hand to renew tests/vectors/sigv4/own.json:
    python3 tests/tools/sigv4_cases.py 40 1 > tests/vectors/sigv4/own.json
"""
import hashlib
import json
import random
import sys
from urllib.parse import quote

METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD"]
REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-2", "il-central-1"]
SERVICES = ["iam", "sts", "organizations", "tax", "bcm-data-exports", "partnercentral-channel"]
LETTERS = "abcXYZ019-._~ /%+&=?:@!$'()*,;[]#\\\"<>^`{|}äß漢字😀é"
WORDS = ["", "a", "key", "Key", "policy", "b c", "ä", "漢", "1", "A", "~x", "x-y_z.", "=", "&", "+", "%", "/"]


def text(rng, low, high, alphabet=LETTERS):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def path_of(rng, is_s3):
    parts = []
    for _ in range(rng.randint(0, 5)):
        kind = rng.random()
        if kind < 0.12:
            parts.append(".")
        elif kind < 0.24:
            parts.append("..")
        elif kind < 0.34:
            parts.append("")
        else:
            parts.append(quote(text(rng, 1, 6).replace("/", ""), safe="-._~"))
    path = "/" + "/".join(parts)
    if rng.random() < 0.3:
        path += "/"
    return path if not is_s3 or path.startswith("/") else "/"


def query_of(rng):
    pairs = []
    for _ in range(rng.randint(0, 5)):
        name = quote(rng.choice(WORDS[1:]) + rng.choice(["", "", text(rng, 0, 3)]), safe="-._~")
        bare = rng.random() < 0.2
        pairs.append(name if bare else name + "=" + quote(rng.choice(WORDS) + text(rng, 0, 4), safe="-._~"))
    return "&".join(pairs)


def headers_of(rng, host, token, date, payload_hash, is_s3):
    headers = [["Host", host], ["X-Amz-Date", date]]
    if is_s3 or rng.random() < 0.3:
        headers.append(["X-Amz-Content-SHA256", payload_hash])
    if token:
        headers.append(["X-Amz-Security-Token", token])
    spaces = ["", " ", "  ", "\t", " \t "]
    for _ in range(rng.randint(0, 5)):
        name = rng.choice(["My-Header", "my-header", "X-Amz-Meta-a", "x-amz-meta-B", "Content-Type", "Accept", "Zebra", "a1"])
        value = rng.choice(spaces) + rng.choice(spaces).join(rng.choice(["v", "W w", "\"q  q\"", "1,2", "ä", ""]) for _ in range(3))
        headers.append([name, value + rng.choice(spaces)])
    for name in ["User-Agent", "Expect", "Connection", "Transfer-Encoding", "X-Amzn-Trace-Id"]:
        if rng.random() < 0.2:
            headers.append([name, "not signed"])
    rng.shuffle(headers)
    return headers


def case_of(rng):
    is_s3 = rng.random() < 0.4
    host = rng.choice(["iam.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:8080", "example.api.aws"])
    body = rng.choice(["", "Action=GetUser&Version=2010-05-08", "{}", text(rng, 0, 40)])
    payload_hash = hashlib.sha256(body.encode()).hexdigest()
    if is_s3 and rng.random() < 0.1:
        payload_hash = "UNSIGNED-PAYLOAD"
    date = "20%02d%02d%02dT%02d%02d%02dZ" % (rng.randint(15, 40), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23),
                                             rng.randint(0, 59), rng.randint(0, 59))
    token = text(rng, 20, 200, "ABCDEFabcdef0123456789+/=") if rng.random() < 0.4 else ""
    return {
        "method": rng.choice(METHODS),
        "path": path_of(rng, is_s3),
        "query": query_of(rng),
        "headers": headers_of(rng, host, token, date, payload_hash, is_s3),
        "body": body,
        "payload_hash": payload_hash,
        "region": rng.choice(REGIONS),
        "service": "s3" if is_s3 else rng.choice(SERVICES),
        "amz_date": date,
        "is_s3": is_s3,
        "access_key_id": "AKIDEXAMPLE%09d" % rng.randint(0, 10**9 - 1),
        "secret_key": text(rng, 40, 40, "ABCDEFabcdef0123456789+/"),
        "token": token,
        "host": host,
    }


def answer(case):
    """The four stages as botocore sees them."""
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = "https://" + case["host"] + case["path"] + ("?" + case["query"] if case["query"] else "")
    request = AWSRequest(method=case["method"], url=url, data=case["body"].encode())
    for name, value in case["headers"]:
        request.headers.add_header(name, value)
    # For the hash that goes in as it is (UNSIGNED-PAYLOAD): botocore takes the header before the body.
    request.context["timestamp"] = case["amz_date"]
    kind = S3SigV4Auth if case["is_s3"] else SigV4Auth
    signer = kind(Credentials(case["access_key_id"], case["secret_key"], case["token"] or None), case["service"], case["region"])
    canonical = signer.canonical_request(request)
    string_to_sign = signer.string_to_sign(request, canonical)
    signature = signer.signature(string_to_sign, request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    return {
        "canonical": canonical,
        "string_to_sign": string_to_sign,
        "signature": signature,
        "authorization": "AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=%s, Signature=%s" % (signer.scope(request), names, signature),
    }


def cases(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        case = case_of(rng)
        case["expect"] = answer(case)
        yield case


if __name__ == "__main__":
    print("[")
    made = list(cases(int(sys.argv[1]), int(sys.argv[2])))
    for i, one in enumerate(made):
        print(json.dumps(one, ensure_ascii=False, sort_keys=True) + ("," if i + 1 < len(made) else ""))
    print("]")
