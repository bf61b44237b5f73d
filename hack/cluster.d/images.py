"""usage: images.py OUT PROGRAMS [REFERENCE=]NAME...

Writes the archive OUT with images of the cluster's own parts, each a single layer with one static
program from the folder PROGRAMS: what `docker load`, `kind load image-archive` and
`ctr images import` read. The same programs give the same bytes. Without a REFERENCE, that of
the image NAME is localhost/doacoes-NAME:1.
"""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile

# Debian's, from the package busybox-static. It gives the shell with which volumes are made and removed.
# Its wget crashes when it is given a time limit (-T); `timeout 5 wget` does not.
BUSYBOX = "/bin/busybox"
BUSYBOX_COMMANDS = (
    "[ cat chmod cp date dd echo env false find grep head hostname httpd id kill ln ls md5sum mkdir mktemp mv nc "
    "nproc nslookup printf ps pwd rm rmdir sed seq sh sha256sum sleep sort stat sync tail tee test timeout touch "
    "tr true umount uname wc wget yes"
).split()

ENTRYPOINTS = {
    "busybox": None,
    "coredns": ["/coredns"],
    "local-path-provisioner": ["/local-path-provisioner"],
    "metrics-server": ["/metrics-server"],
    "pause": ["/pause"],
}


def parse(argument: str) -> tuple[str, str]:
    """Reference and name. `localhost` is where nobody would pull an image from that is missing."""
    reference, _, name = argument.rpartition("=")
    return reference or f"localhost/doacoes-{name}:1", name


def add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def layer(name: str, programs: str) -> bytes:
    """The root file system of an image, as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(tmp)
        path = BUSYBOX if name == "busybox" else os.path.join(programs, name)
        destination = "bin/busybox" if name == "busybox" else name
        with open(path, "rb") as program:
            add(archive, destination, program.read(), 0o755)
        for command in BUSYBOX_COMMANDS if name == "busybox" else ():
            link = tarfile.TarInfo(f"bin/{command}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            archive.addfile(link)
    return buffer.getvalue()


def architecture() -> str:
    """This machine's, in the words of container images."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def write(out: str, programs: str, names: dict[str, str]) -> None:
    """`names` is what each image is made of, by its reference."""
    manifest = []
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
        for reference, name in names.items():
            root = layer(name, programs)
            digest = hashlib.sha256(root).hexdigest()
            config = json.dumps(
                {
                    "architecture": architecture(),
                    "os": "linux",
                    "config": {"Entrypoint": ENTRYPOINTS[name], "Env": ["PATH=/bin"]},
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                }
            ).encode()
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            add(archive, config_name, config)
            add(archive, f"{digest}.tar", root)
            manifest.append({"Config": config_name, "RepoTags": [reference], "Layers": [f"{digest}.tar"]})
        add(archive, "manifest.json", json.dumps(manifest).encode())


def main() -> None:
    if len(sys.argv) < 4 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out, programs, *arguments = sys.argv[1:]
    names = dict(map(parse, arguments))
    unknown = set(names.values()) - set(ENTRYPOINTS)
    if unknown:
        sys.exit(f"images.py: unknown: {', '.join(sorted(unknown))}")
    # Renamed when it is whole, so that an interrupted run leaves nothing that looks like an archive.
    write(f"{out}.{os.getpid()}", programs, names)
    os.replace(f"{out}.{os.getpid()}", out)


main()
