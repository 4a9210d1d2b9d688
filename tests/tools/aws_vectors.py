#!/usr/bin/env python3
"""Writes tests/vectors/aws/*/*/request.json from args.json with botocore: a second implementation says what must go out.

Usage: aws_vectors.py [--check]   (--check: compare instead of writing; exit 77 without botocore)
Our args are AWS's own members, with a few conveniences that are undone here: policy documents are JSON values, S3's bodies are
built from a few words, CUR's page size is fixed, CloudTrail is asked for writes between two milliseconds, RAM for our own shares.
"""
import json
import os
import sys
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import botocore_new  # noqa: E402,F401

import botocore.session  # noqa: E402
from botocore.serialize import create_serializer  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "aws")
SERVICES = {"partnercentral": "partnercentral-channel", "tax": "taxsettings", "sso": "sso-admin", "backup": "backup"}
PLAIN = {"Bucket", "ExpectedBucketOwner"}


def s3_params(op, args):
    own = {k: v for k, v in args.items() if k in PLAIN}
    rest = {k: v for k, v in args.items() if k not in PLAIN}
    if op == "CreateBucket":
        own["ObjectOwnership"] = "BucketOwnerEnforced"
        if rest["Region"] != "us-east-1":
            own["CreateBucketConfiguration"] = {"LocationConstraint": rest["Region"]}
    elif op == "PutPublicAccessBlock":
        own["PublicAccessBlockConfiguration"] = {
            k: True for k in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        }
    elif op == "PutBucketOwnershipControls":
        own["OwnershipControls"] = {"Rules": [{"ObjectOwnership": rest["Ownership"]}]}
    elif op == "PutBucketEncryption":
        own["ServerSideEncryptionConfiguration"] = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    elif op == "PutBucketTagging":
        own["Tagging"] = {"TagSet": rest["Tags"]}
    elif op == "ListObjectsV2":
        own.update(rest)
        own.setdefault("MaxKeys", 10)
    elif op == "ListBuckets":
        own.update(rest)
        own.setdefault("MaxBuckets", 1000)
    else:
        own.update(rest)
    return own


def params(service, op, args, model):
    if service == "s3":
        return s3_params(op, args)
    if service == "cur" and op == "DescribeReportDefinitions":
        args = dict(args, MaxResults=5)
    if service == "cloudtrail" and op == "LookupEvents":
        args = {"LookupAttributes": [{"AttributeKey": "ReadOnly", "AttributeValue": "false"}], "MaxResults": 50,
                "StartTime": args["start_ms"] // 1000, "EndTime": -(-args["end_ms"] // 1000),
                **{k: v for k, v in args.items() if k == "NextToken"}}
    if service == "ram":
        args = dict(args, resourceOwner="SELF")
    members = model.input_shape.members if model.input_shape else {}
    out = {}
    for name, value in args.items():
        is_document = name in members and members[name].type_name == "string" and isinstance(value, dict)
        out[name] = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if is_document else value
    return out


def shape(element):
    """XML as common/codec/xml.h shapes it, without namespaces, so that only meaning is compared."""
    out = {}
    for child in element:
        tag = child.tag.split("}")[-1]
        if tag in out:
            out[tag] = (out[tag] if isinstance(out[tag], list) else [out[tag]]) + [shape(child)]
        else:
            out[tag] = shape(child)
    return out if out else (element.text or "")


def request_of(service, op, args, session):
    model = session.get_service_model(SERVICES.get(service, service)).operation_model(op)
    protocol = model.service_model.metadata["protocol"]
    made = create_serializer(protocol).serialize_to_request(params(service, op, args, model), model)
    path, _, query = made["url_path"].partition("?")
    result = {"method": made["method"], "path": path, "query": {}, "headers": {}}
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        result["query"][name] = value
    for name, value in made["query_string"].items() if isinstance(made["query_string"], dict) else []:
        result["query"][name] = str(value)
    body = made["body"]
    if protocol in ("query", "ec2"):
        result["form"] = {k: str(v) for k, v in body.items() if k not in ("Action", "Version")}
    elif protocol in ("json", "rest-json"):
        result["json"] = json.loads(body) if body else {}
    else:
        result["path"] = path.replace("/{Bucket}", "") if "{Bucket}" in path else path
        bucket = args.get("Bucket")
        if bucket and result["path"].startswith("/" + bucket):
            result["path"] = result["path"][len(bucket) + 1:]
        result["path"] = result["path"] or "/"
        result["bucket"] = bucket or ""
        text = body.decode() if isinstance(body, bytes) else (body or "")
        if text.startswith("<"):
            root = ET.fromstring(text)
            result["root"], result["xml"] = root.tag.split("}")[-1], shape(root)
        else:
            result["body"] = text
    for name, value in made["headers"].items():
        if name.lower().startswith("x-amz-") and name.lower() != "x-amz-target" and "checksum" not in name.lower():
            result["headers"][name.lower()] = str(value)
    return result


def main():
    check = "--check" in sys.argv
    session = botocore.session.get_session()
    bad = count = 0
    for folder, _, files in sorted(os.walk(ROOT)):
        if "args.json" not in files:
            continue
        service, case = os.path.relpath(folder, ROOT).split(os.sep)
        op = case.split("@")[0].split("-")[0]
        args = json.load(open(os.path.join(folder, "args.json")))
        made = request_of(service, op, args, session)
        path = os.path.join(folder, "request.json")
        count += 1
        if not check:
            with open(path, "w") as f:
                f.write(json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        elif json.load(open(path)) != made:
            bad += 1
            print(f"{service}/{case}: request.json is not what botocore sends\n  {made}")
    print(f"{count} requests, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
