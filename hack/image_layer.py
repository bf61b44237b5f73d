"""usage: image_layer.py FOLDER NAME...

Makes the root file systems of images from Debian's packages: FOLDER/NAME.tar, and with it FOLDER/NAME.packages, which lists
the packages and their versions. NAME is postgres, redis, pgbouncer or nginx. A layer holds the program with the libraries that
it loads, a shell, and the core utilities; users and folders are those of the public image whose place it takes. The
packages come from the mirror of Debian in this machine's apt sources, whatever release the machine itself has; none is
installed. The same packages give the same bytes. Needs root.
"""

import dataclasses
import io
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

# Debian's libraries are found there without a cache of the loader, which only an installation would make.
LOADERS = {"x86_64": "/usr/lib64/ld-linux-x86-64.so.2", "aarch64": "/usr/lib/ld-linux-aarch64.so.1"}
# All packages of a release are signed with keys of this file, or of the release before.
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What the pods' scripts may use, by package. The first has the links /bin, /lib, /lib64 and /sbin.
TOOLS = {
    "base-files": r"/(bin|lib|lib64|sbin)|/etc/os-release|/usr/lib/os-release",
    "coreutils": r"/usr/bin/.*",
    "dash": r"/usr/bin/.*",
    "grep": r"/usr/bin/.*",
    "libc6": r"/usr/lib(64)?/(.*/)?ld-linux-.*",
    "libc-bin": r"/usr/bin/(getent|locale)|/usr/lib/locale/C\.utf8/.*",
    "libgcc-s1": r"/usr/lib/.*\.so\..*",
    "sed": r"/usr/bin/.*",
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What an image is made of: the release of Debian, what is taken of which package, who runs it, and its folders."""

    suite: str
    # Patterns of whole paths.
    packages: dict[str, str]
    user: str
    uid: int
    home: str
    # These belong to the user.
    folders: tuple[str, ...]
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, str] = dataclasses.field(default_factory=dict)


RECIPES = {
    "postgres": Recipe(
        suite="trixie",
        packages={
            # Compiled queries would bring LLVM's 120 MB; without these files PostgreSQL does without.
            "postgresql-17": r"/usr/lib/postgresql/17/(bin/.*|lib/(?!bitcode/|llvmjit)[^/]*)|/usr/share/postgresql/17/(?!man/).*",
            "postgresql-client-17": r"/usr/lib/postgresql/17/(bin|lib)/[^/]*",
            "tzdata": r"/usr/share/zoneinfo/.*",
        },
        user="postgres",
        uid=999,
        home="/var/lib/postgresql",
        folders=("/var/lib/postgresql", "/var/lib/postgresql/data", "/run/postgresql"),
    ),
    "redis": Recipe(
        suite="trixie",
        packages={"redis-server": r"/usr/bin/.*", "redis-tools": r"/usr/bin/.*"},
        user="redis",
        uid=999,
        home="/data",
        folders=("/data",),
    ),
    "pgbouncer": Recipe(
        suite="forky",
        packages={"pgbouncer": r"/usr/sbin/pgbouncer"},
        user="postgres",
        uid=70,
        home="/var/lib/postgresql",
        folders=("/etc/pgbouncer", "/var/lib/postgresql", "/var/log/pgbouncer", "/run/pgbouncer"),
    ),
    "nginx": Recipe(
        suite="forky",
        packages={
            "nginx": r"/usr/sbin/nginx",
            "nginx-common": r"/etc/nginx/(mime\.types|.*_params)",
            "libnginx-mod-stream": r"/usr/lib/nginx/modules/.*",
        },
        user="nginx",
        uid=101,
        home="/nonexistent",
        folders=("/etc/nginx/conf.d", "/var/cache/nginx", "/var/lib/nginx"),
        links={"/var/log/nginx/access.log": "/dev/stdout", "/var/log/nginx/error.log": "/dev/stderr"},
        # The public image's nginx has this compiled in. An `include` of modules-enabled/*.conf does for both.
        files={"/etc/nginx/modules-enabled/stream.conf": "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"},
    ),
}


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    unknown = set(sys.argv[2:]) - set(RECIPES)
    if unknown:
        sys.exit(f"image_layer.py: unknown: {', '.join(sorted(unknown))}")
    for suite in sorted({RECIPES[name].suite for name in sys.argv[2:]}):
        names = [name for name in sys.argv[2:] if RECIPES[name].suite == suite]
        with tempfile.TemporaryDirectory(dir=out) as scratch:
            release = Release(suite, pathlib.Path(scratch))
            release.download(TOOLS.keys() | {package for name in names for package in RECIPES[name].packages})
            for name in names:
                packages = release.layer(RECIPES[name], out / f"{name}.tar")
                (out / f"{name}.packages").write_text("".join(f"{line}\n" for line in packages))


def say(text: str) -> None:
    print(f"images: {text}", file=sys.stderr, flush=True)


def mirrors() -> dict[str, str]:
    """Where this machine has Debian from: by label, `Debian` and perhaps `Debian-Security`."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = {}
    for line in listing.stdout.splitlines():
        label, _, address = line.partition(" ")
        found.setdefault(label, address)
    return found


class Release:
    """The packages of a release of Debian, which apt keeps in folders of their own below `scratch`."""

    def __init__(self, suite: str, scratch: pathlib.Path):
        self.suite, self.scratch, self.root = suite, scratch, scratch / "root"
        # By package: its paths, and the line of the list that says its version.
        self.paths: dict[str, list[str]] = {}
        self.versions: dict[str, str] = {}
        # By path: the package that has it.
        self.owners: dict[str, str] = {}

    def apt(self, *arguments: str) -> None:
        """apt as on a machine that has nothing installed, with the proxies that this one has."""
        options = {
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::Cache": self.scratch / "cache",
            "Dir::Cache::Archives": self.scratch / "archives",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::Etc::SourceList": self.scratch / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": self.scratch / "lists",
            "Dir::State::Status": self.scratch / "status",
            "Dir::State::extended_states": self.scratch / "extended_states",
        }
        command = ["apt-get", "-qq"]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        subprocess.run([*command, *arguments], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)

    def download(self, packages) -> None:
        found = mirrors()
        if "Debian" not in found:
            sys.exit("images: apt knows no mirror of Debian here; run apt-get update, or use kind and Docker")
        suites = [(found["Debian"], self.suite)]
        if "Debian-Security" in found:
            suites.append((found["Debian-Security"], f"{self.suite}-security"))
        for folder in ("archives/partial", "cache", "lists/partial", "root"):
            (self.scratch / folder).mkdir(parents=True)
        (self.scratch / "status").touch()
        (self.scratch / "sources.list").write_text(
            "".join(f"deb [signed-by={KEYRING}] {address} {suite} main\n" for address, suite in suites)
        )
        say(f"fetching packages of Debian {self.suite}")
        self.apt("update", "--error-on=any")
        self.apt("install", "--download-only", "--yes", "--no-install-recommends", *sorted(packages))
        # The first has the links through which some others' files go.
        archives = sorted((self.scratch / "archives").glob("*.deb"), key=lambda path: (not path.name.startswith("base-files_"), path))
        for archive in archives:
            self.extract(archive)

    def extract(self, archive: pathlib.Path) -> None:
        fields = subprocess.run(
            ["dpkg-deb", "--show", "--showformat", "${Package} ${Version} ${Architecture}", archive],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        package = fields.split()[0]
        subprocess.run(["dpkg-deb", "--extract", archive, self.root], check=True)
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as members:
            self.paths[package] = [member.name.removeprefix(".") for member in members if not member.isdir()]
        self.versions[package] = fields
        for path in self.paths[package]:
            self.owners[path] = package
        archive.unlink()

    def layer(self, recipe: Recipe, out: pathlib.Path) -> list[str]:
        """Writes the layer, and returns the lines that say which packages it has something of."""
        chosen = set()
        for package, pattern in (TOOLS | recipe.packages).items():
            matching = [path for path in self.paths[package] if re.fullmatch(pattern, path)]
            if not matching:
                sys.exit(f"images: {package} of Debian {self.suite} has nothing that matches {pattern}")
            chosen.update(matching)
        chosen |= self.libraries(chosen)
        layer = Layer(self.root)
        for path in chosen:
            layer.take(path)
        layer.folder("/tmp", 0o1777)
        for folder in ("/dev", "/proc", "/run", "/sys", "/usr/sbin", "/var/tmp"):
            layer.folder(folder, 0o1777 if folder == "/var/tmp" else 0o755)
        layer.link("/var/run", "/run")
        for folder in recipe.folders:
            layer.folder(folder, 0o755, recipe.uid)
        for path, target in recipe.links.items():
            layer.link(path, target)
        for path, text in recipe.files.items():
            layer.text(path, text)
        layer.text(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\n"
            f"{recipe.user}:x:{recipe.uid}:{recipe.uid}::{recipe.home}:/bin/sh\n"
            "nobody:x:65534:65534::/nonexistent:/bin/false\n",
        )
        layer.text("/etc/group", f"root:x:0:\n{recipe.user}:x:{recipe.uid}:\nnogroup:x:65534:\n")
        layer.text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        layer.write(out)
        return sorted({self.versions[self.owners[path]] for path in chosen if path in self.owners})

    def libraries(self, paths) -> set[str]:
        """The libraries that the programs and libraries among `paths` load, and the links that lead to them."""
        loader = LOADERS[platform.machine()]
        programs = sorted(path for path in paths if is_elf(self.root / path.lstrip("/")) and "/ld-linux-" not in path)
        found = set()
        for program in programs:
            listing = subprocess.run(["chroot", self.root, loader, "--list", program], capture_output=True, text=True)
            if "not found" in listing.stdout or (listing.returncode and "statically linked" not in listing.stdout + listing.stderr):
                sys.exit(f"images: {program} of Debian {self.suite} lacks a library:\n{listing.stdout}{listing.stderr}")
            for library in re.findall(r"=> (/\S+)", listing.stdout):
                found.update(self.chain(library))
        return found

    def chain(self, path: str) -> list[str]:
        """`path` and what it leads to, each in the folder where it really is."""
        steps = []
        while True:
            folder = os.path.realpath(self.root / os.path.dirname(path).lstrip("/"))
            real = pathlib.Path(folder, os.path.basename(path))
            path = "/" + str(real.relative_to(self.root.resolve()))
            steps.append(path)
            if not real.is_symlink():
                return steps
            path = os.path.join(os.path.dirname(path), os.readlink(real))


def is_elf(file: pathlib.Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with open(file, "rb") as start:
        return start.read(4) == b"\x7fELF"


class Layer:
    """A tar in the making: sorted, without times, and with each folder before what is in it."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self.entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}

    def put(self, path: str, kind: bytes, mode: int, owner: int = 0, content: bytes = b"", target: str = "") -> None:
        for parent in reversed(pathlib.PurePosixPath(path).parents[:-1]):
            if str(parent) not in self.entries:
                self.entries[str(parent)] = (member(str(parent), tarfile.DIRTYPE, 0o755), b"")
        entry = member(path, kind, mode)
        entry.uid = entry.gid = owner
        entry.linkname, entry.size = target, len(content)
        self.entries[path] = (entry, content)

    def take(self, path: str) -> None:
        """A file or a symbolic link, as the packages have it."""
        source = self.root / path.lstrip("/")
        if source.is_symlink():
            self.link(path, os.readlink(source))
        else:
            self.put(path, tarfile.REGTYPE, source.stat().st_mode & 0o755, content=source.read_bytes())

    def folder(self, path: str, mode: int, owner: int = 0) -> None:
        self.put(path, tarfile.DIRTYPE, mode, owner)

    def link(self, path: str, target: str) -> None:
        self.put(path, tarfile.SYMTYPE, 0o777, target=target)

    def text(self, path: str, text: str) -> None:
        self.put(path, tarfile.REGTYPE, 0o644, content=text.encode())

    def write(self, out: pathlib.Path) -> None:
        with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as archive:
            for path in sorted(self.entries):
                entry, content = self.entries[path]
                archive.addfile(entry, io.BytesIO(content))


def member(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry


main()
