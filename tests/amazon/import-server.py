"""moto's server with the three calls of EC2 that it lacks: ImportImage, DescribeImportImageTasks and
CancelImportTask.

moto has S3, AMIs, snapshots, tags and roles; an import reads the object out of its S3, and makes an AMI
in its EC2. What is added here does as AWS documents these calls: the role must be there, the disk must be of
the format that the call names, an import goes through its states, and one that fails says why in AWS's words.
An import is a step further each time somebody looks at it. So that this is not only what Ingot expects of it,
Packer's own plugin is run against it too (by hand: it is built in minutes).

ModifyImageAttribute keeps the description and IMDS support, which moto forgets. Presigned requests of S3 are
checked with botocore, AWS's own implementation; moto takes any signature.

Usage: import-server.py PORT, with the secret key of tests in IMPORT_SECRET.
"""

import os
import sys
import tarfile
import uuid
from io import BytesIO
from urllib.parse import parse_qsl, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.amis import Ami
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import random_ami_id
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends
from werkzeug.serving import run_simple

# The states of an import, in order, with the progress that AWS shows.
STATES = [("pending", "1"), ("validating", "5"), ("converting", "28"), ("updating", "66"), ("booting", "83")]
# The state in which the object is read.
READ = "validating"


class Unreadable(Exception):
    """Why a disk cannot be imported, as AWS says it."""


def check_disk(disk, kind):
    if kind == "raw" and disk[510:512] != b"\x55\xaa":
        raise Unreadable("ClientError: No valid partitions. Not a valid volume.")
    if kind == "vmdk" and disk[:4] != b"KDMV":
        raise Unreadable("ClientError: Disk validation failed [Unsupported VMDK File Format]")
    if kind == "vhd" and disk[-512:-504] != b"conectix":
        raise Unreadable("ClientError: Disk validation failed [Invalid VHD footer]")
    if kind == "vhdx" and disk[:8] != b"vhdxfile":
        raise Unreadable("ClientError: Disk validation failed [Invalid VHDX signature]")
    if kind == "ova":
        try:
            names = tarfile.open(fileobj=BytesIO(disk), mode="r:").getnames()
        except tarfile.TarError:
            names = []
        if not any(name.endswith(".ovf") for name in names):
            raise Unreadable("ClientError: Disk validation failed [OVF file parsing error]")


class Task:
    def __init__(self, backend, params):
        self.backend, self.params = backend, params
        self.id = f"import-ami-{uuid.uuid4().hex[:17]}"
        self.status, self.message, self.step = "active", None, 0
        self.image = None
        self.disk = params["DiskContainers"][0]
        self.tags = [
            tag
            for specification in params.get("TagSpecifications", [])
            if specification["ResourceType"] == "import-image-task"
            for tag in specification["Tags"]
        ]

    def go_on(self):
        if self.status == "deleting":
            self.status = "deleted"
        if self.status != "active":
            return
        if self.step < len(STATES):
            if STATES[self.step][0] == READ:
                try:
                    check_disk(self.read(), self.disk["Format"].lower())
                except Unreadable as error:
                    self.status, self.message = "deleted", str(error)
            self.step += 1
            return
        ami = Ami(
            self.backend,
            random_ami_id(),
            name=self.id,
            description="AWS-VMImport service: Linux - unknown",
            architecture=self.params.get("Architecture"),
            boot_mode=self.params.get("BootMode"),
            platform="windows" if self.params.get("Platform") == "windows" else None,
            root_device_type="ebs",
            virtualization_type="hvm",
            hypervisor="xen",
            image_location=f"{self.backend.account_id}/{self.id}",
            snapshot_description=f"Created by AWS-VMImport service for {self.id}",
        )
        self.backend.amis[ami.id] = ami
        self.status, self.image = "completed", ami

    def read(self):
        place = self.disk["UserBucket"]
        s3 = s3_backends[self.backend.account_id][self.backend.partition]
        try:
            key = s3.get_object(place["S3Bucket"], place["S3Key"])
        except Exception:
            key = None
        if key is None:
            raise Unreadable("ClientError: Disk validation failed [Invalid S3 source location]")
        return key.value

    def describe(self):
        state, progress = STATES[max(self.step, 1) - 1]
        active = self.status == "active"
        detail = {
            "Format": self.disk["Format"].upper(),
            "DiskImageSize": 0.0,
            "UserBucket": self.disk["UserBucket"],
            "Status": "active" if active else self.status,
        }
        if self.image:
            detail["SnapshotId"] = self.image.ebs_snapshot.id
            detail["DeviceName"] = self.image.root_device_name
        task = {
            "ImportTaskId": self.id,
            "Architecture": self.params.get("Architecture"),
            "BootMode": self.params.get("BootMode"),
            "Platform": self.params.get("Platform"),
            "LicenseType": self.params.get("LicenseType"),
            "Encrypted": self.params.get("Encrypted"),
            "KmsKeyId": self.params.get("KmsKeyId"),
            "Status": self.status,
            "StatusMessage": self.message or (state if active else None),
            "Progress": progress if active else None,
            "ImageId": self.image.id if self.image else None,
            "SnapshotDetails": [detail],
            "Tags": self.tags,
        }
        return {name: value for name, value in task.items() if value is not None}


def tasks(backend):
    return backend.__dict__.setdefault("import_tasks", {})


def import_image(self):
    params = {name: self._get_param(name) for name in self.params}
    backend = self.ec2_backend
    role = params.get("RoleName") or "vmimport"
    roles = iam_backends[backend.account_id][backend.partition].roles.values()
    if role not in [known.name for known in roles]:
        raise EC2ClientError(
            "InvalidParameter",
            f"The service role {role} provided does not exist or does not have sufficient permissions",
        )
    token = params.get("ClientToken")
    known = [task for task in tasks(backend).values() if token and task.params.get("ClientToken") == token]
    task = known[0] if known else Task(backend, params)
    tasks(backend)[task.id] = task
    return ActionResult(task.describe())


def describe_import_image_tasks(self):
    wanted = self._get_param("ImportTaskIds", [])
    found = [task for task in tasks(self.ec2_backend).values() if not wanted or task.id in wanted]
    if wanted:
        for task in found:
            task.go_on()
    return ActionResult({"ImportImageTasks": [task.describe() for task in found]})


def cancel_import_task(self):
    task = tasks(self.ec2_backend).get(self._get_param("ImportTaskId"))
    if task is None:
        raise EC2ClientError("InvalidConversionTaskId.Malformed", "no such import task")
    before = task.status
    if before != "active":
        raise EC2ClientError("IncorrectState", f"the import task is {before}")
    task.status, task.message = "deleting", "User cancelled task"
    return ActionResult({"ImportTaskId": task.id, "PreviousState": before, "State": "deleting"})


modify = AmisResponse.modify_image_attribute


def modify_image_attribute(self):
    result = modify(self)
    ami = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
    description, imds = self._get_param("Description"), self._get_param("ImdsSupport")
    if description:
        ami.description = description["Value"]
    if imds:
        ami.imds_support = imds["Value"]
    return result


AmisResponse.import_image = import_image
AmisResponse.describe_import_image_tasks = describe_import_image_tasks
AmisResponse.cancel_import_task = cancel_import_task
AmisResponse.modify_image_attribute = modify_image_attribute


def credentials_of(key, token):
    if token:
        for backends in sts_backends.values():
            for backend in backends.values():
                role = backend.get_assumed_role_from_access_key(key)
                if role and role.session_token == token:
                    return Credentials(key, role.secret_access_key, token)
        return None
    return Credentials(key, os.environ["IMPORT_SECRET"])


def is_signed(environ):
    """Whether the signature in a presigned request is the one that AWS would compute."""
    query = dict(parse_qsl(environ["REQUEST_URI"].partition("?")[2], keep_blank_values=True))
    signature = query.pop("X-Amz-Signature")
    key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    credentials = credentials_of(key, query.get("X-Amz-Security-Token"))
    if credentials is None:
        return False
    names = query["X-Amz-SignedHeaders"].split(";")
    # S3 wants all of its own headers to be signed.
    sent = [name[5:].lower().replace("_", "-") for name in environ if name.startswith("HTTP_X_AMZ_")]
    if not set(sent) <= set(names):
        return False
    headers = {name: environ.get("HTTP_" + name.upper().replace("-", "_"), "") for name in names}
    path = environ["REQUEST_URI"].partition("?")[0]
    request = AWSRequest(environ["REQUEST_METHOD"], f"http://{environ['HTTP_HOST']}{path}", headers)
    request.context["timestamp"] = query["X-Amz-Date"]
    request.url += "?" + urlencode(query)
    auth = S3SigV4QueryAuth(credentials, service, region, expires=int(query["X-Amz-Expires"]))
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return auth.signature(text, request) == signature


class Checked:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        if "X-Amz-Signature=" in environ.get("REQUEST_URI", "") and not is_signed(environ):
            body = b"<Error><Code>SignatureDoesNotMatch</Code><Message>The signature does not match</Message></Error>"
            start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        return self.app(environ, start_response)


app = DomainDispatcherApplication(create_backend_app)
run_simple(
    "127.0.0.1",
    int(sys.argv[1]),
    Checked(app),
    threaded=True,
    request_handler=MotoRequestHandler,
)
