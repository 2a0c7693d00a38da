"""Commands that cannot run on Acre's heap, and wrong installations: a plain error before the run."""

import os
import shutil
import stat
import subprocess

from tool_case import EM_AARCH64, EM_X86_64, HOST, ToolCase, elf_program, main

OTHER = EM_AARCH64 if HOST == EM_X86_64 else EM_X86_64
LOADER = "/lib64/ld-linux-x86-64.so.2" if HOST == EM_X86_64 else "/lib/ld-linux-aarch64.so.1"


class Commands(ToolCase):
    def test_a_missing_command(self):
        self.assert_error(self.acre("run", "--", "no-such-command"), 127, "no such command in PATH")
        self.assert_error(self.acre("run", "--", "./missing"), 127, "No such file or directory")
        self.assert_error(self.acre("run", "--", ""), 127, "no such command")

    def test_a_file_that_may_not_be_executed(self):
        path = self.write_program("plain", "x")
        os.chmod(path, stat.S_IRUSR)
        self.assert_error(self.acre("run", "--", path), 126, "not executable")
        searched = {"PATH": self.folder}
        self.assert_error(self.acre("run", "--", "plain", environment=searched), 126, "plain")
        self.assert_error(self.acre("run", "--", self.folder), 126, "is a directory")

    def test_a_static_program(self):
        path = self.write_program("static", elf_program(HOST))
        self.assert_error(self.acre("run", "--", path), 126, "statically linked", "libacre-malloc.a")

    def test_a_static_program_that_is_linked_with_the_heap(self):
        path = os.environ["ACRE_STATIC_PROGRAM"]
        self.assert_error(self.acre("run", "--", path), 126, "on Acre's heap already",
                          "ACRE_OPTIONS=summary_path=FILE")

    def test_another_architecture(self):
        path = self.write_program("other", elf_program(OTHER, loader=LOADER))
        self.assert_error(self.acre("run", "--", path), 126, "ARM 64", "x86-64")

    def test_a_32_bit_program(self):
        path = self.write_program("narrow", elf_program(3, is_64_bit=False, loader="/lib/ld.so"))
        self.assert_error(self.acre("run", "--", path), 126, "32-bit x86")

    def test_another_libc(self):
        path = self.write_program("musl", elf_program(HOST, loader="/lib/ld-musl-x86_64.so.1"))
        self.assert_error(self.acre("run", "--", path), 126, "musl")

    def test_a_missing_loader(self):
        path = self.write_program("orphan", elf_program(HOST, loader="/lib/ld-nowhere.so"))
        self.assert_error(self.acre("run", "--", path), 127, "/lib/ld-nowhere.so is missing")

    def test_damaged_headers(self):
        whole = elf_program(HOST, loader=LOADER)
        for length in (4, 17, 40, 80, len(whole) - 1):
            path = self.write_program("cut", whole[:length])
            self.assert_error(self.acre("run", "--", path), 126, "damaged")

    def test_a_script_whose_interpreter_is_missing_or_refused(self):
        path = self.write_program("script", "#!/nowhere/python3 -x\n")
        self.assert_error(self.acre("run", "--", path), 127, "interpreter /nowhere/python3 is missing")
        static = self.write_program("static", elf_program(HOST))
        path = self.write_program("script", f"#! {static}\n")
        self.assert_error(self.acre("run", "--", path), 126, static, "statically linked")

    def test_a_script_that_is_its_own_interpreter(self):
        path = self.path("loop")
        self.write_program("loop", f"#!{path}\n")
        self.assert_error(self.acre("run", "--", path), 126, "scripts without end")

    def test_a_setuid_program(self):
        path = self.path("setuid")
        shutil.copy("/bin/true", path)
        if os.statvfs(path).f_flag & os.ST_NOSUID:
            self.skipTest("the folder is mounted nosuid")
        if os.getuid() == 0:
            os.chown(path, 1, -1)
            os.chmod(path, 0o4755)
        else:
            path = shutil.which("su") or shutil.which("passwd")
            if path is None or not os.stat(path).st_mode & stat.S_ISUID:
                self.skipTest("no setuid program here")
        self.assert_error(self.acre("run", "--", path), 126, "setuid", "run acre as its owner")

    def test_a_setuid_program_of_the_same_user_runs(self):
        path = self.path("setuid")
        shutil.copy("/bin/true", path)
        os.chmod(path, 0o4755)
        self.assertEqual(self.acre("run", "-q", "--", path).returncode, 0)


class Library(ToolCase):
    def test_a_missing_library_names_the_places(self):
        chosen = {"ACRE_LIBRARY": "/nowhere/libacre-malloc.so"}
        self.assert_error(self.acre("run", "--", "true", environment=chosen), 2,
                          "looked at /nowhere/libacre-malloc.so", "set ACRE_LIBRARY")

    def test_without_the_variable_it_is_sought_beside_the_tool(self):
        tool = self.path("acre")
        shutil.copy(os.environ["ACRE_TOOL"], tool)
        environment = self.environment | {"ACRE_LIBRARY": ""}
        result = subprocess.run([tool, "run", "--", "true"], env=environment, text=True,
                                capture_output=True, timeout=60)
        self.assert_error(result, 2, "cannot find libacre-malloc.so", "/lib/", "; set ACRE_LIBRARY")

    def test_a_path_that_the_loader_cannot_hold(self):
        path = self.path("a b.so")
        shutil.copy(os.environ["ACRE_LIBRARY"], path)
        chosen = {"ACRE_LIBRARY": path}
        self.assert_error(self.acre("run", "--", "true", environment=chosen), 2, "space or a colon")

    def test_a_library_that_is_another(self):
        image = elf_program(HOST, loader=LOADER)
        with open(os.environ["ACRE_TOOL"], "rb") as tool:
            whole = tool.read()
        # The last one's sections lie where the file has ended long before.
        for content in (image, whole, whole[:4096]):
            chosen = {"ACRE_LIBRARY": self.write_program("other.so", content)}
            for command in (["run", "--", "true"], ["bench", "--", "true"]):
                self.assert_error(self.acre(*command, environment=chosen), 2, "not Acre's library",
                                  "set ACRE_LIBRARY to a libacre-malloc.so")

    def test_a_file_that_is_no_library(self):
        chosen = {"ACRE_LIBRARY": self.write_program("text", "text")}
        self.assert_error(self.acre("run", "--", "true", environment=chosen), 2, "not a library")


if __name__ == "__main__":
    main()
