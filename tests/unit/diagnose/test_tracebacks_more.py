# SPDX-License-Identifier: MIT
"""Exceptions of Erlang, OCaml, Haskell, Swift, .NET, Tcl, and newer forms of the usual languages."""
# ruff: noqa: E501 - a row of a table is one line

import pytest

from failhook.diagnose.facts import Facts
from failhook.diagnose.tracebacks import crashes
from tests.unit.diagnose.cases import case, gone, judge

FOUND = [
    ('{"Kernel pid terminated",application_controller,"{application_start_failure,shop,{{shutdown,{failed_to_start_child,orders,{no_table,7}}},{shop_app,start,[normal,[]]}}}"}\nCrash dump is being written to: erl_crash.dump...done', "erlang", "the application shop did not start: {failed_to_start_child,orders,{no_table,7}}"),
    ("Runtime terminating during boot ({undef,[{shop_app,start,[],[]}]})\nCrash dump is being written to: erl_crash.dump...done", "erlang", "the Erlang runtime ended: {undef,[{shop_app,start,[],[]}]}"),
    ("=CRASH REPORT==== 21-Nov-2026::21:49:37.123456 ===\n  crasher:\n    initial call: shop_db:init/1\n    exception exit: {no_table,orders}\n      in function  gen_server:init_it/6 (gen_server.erl, line 835)\n    ancestors: [shop_sup]", "erlang", "exit: {no_table,orders} (gen_server.erl line 835, in gen_server:init_it/6)"),
    ("[error] CRASH REPORT Process <0.120.0> with 0 neighbours exited with reason: {no_table,orders} in gen_server:init_it/6 line 835", "erlang", "{no_table,orders}"),
    ("the price list is empty at /srv/shop/app.psgi line 42.", "perl", "the price list is empty (/srv/shop/app.psgi line 42)"),
    ("2026/11/21 21:49:37 [1] the price list is empty at /usr/bin/shop line 7.", "perl", "died: the price list is empty (/usr/bin/shop line 7)"),
    ("syntax error at /srv/shop/Shop.pm line 12, near \"}\"\nCompilation failed in require at /srv/shop/app line 3.\nBEGIN failed--compilation aborted at /srv/shop/app line 3.", "perl", "/srv/shop/Shop.pm line 12"),
    ("PHP Warning:  Undefined variable $x in /srv/a.php on line 3\nPHP Fatal error:  Uncaught PDOException: no table orders in /srv/db.php:12\nStack trace:\n#0 {main}\n  thrown in /srv/db.php on line 12", "php", "PDOException: no table orders (/srv/db.php line 12)"),
    ('Fatal error: exception Failure("no table orders")\nRaised at Stdlib.failwith in file "stdlib.ml", line 29, characters 17-33\nCalled from Shop.load in file "bin/shop.ml", line 12, characters 4-30', "ocaml", "Failure: no table orders (bin/shop.ml line 12)"),
    ("Fatal error: exception Not_found", "ocaml", "Not_found"),
    ("shop: no table orders\nCallStack (from HasCallStack):\n  error, called at app/Main.hs:12:9 in main:Main", "haskell", "no table orders (app/Main.hs line 12)"),
    ("Unhandled exception. System.InvalidOperationException: cannot start\n ---> System.FormatException: key 'Servr' is not supported\n   at Shop.Db.Parse(String s) in /src/Db.cs:line 12\n   --- End of inner exception stack trace ---\n   at Shop.Program.Main(String[] args) in /src/Program.cs:line 5", "dotnet", "FormatException: key 'Servr' is not supported (/src/Db.cs line 12, in Parse)"),
    ("Unhandled Exception:\nShop.EmptyException: no table orders\n  at Shop.Main () [0x00001] in <abc>:0", "dotnet", "EmptyException: no table orders"),
    ("/srv/app.rb:12:in 'Shop#load': no table orders (Shop::Empty)", "ruby", "Shop::Empty: no table orders (/srv/app.rb line 12, in Shop#load)"),
    ("/srv/app.rb:12: syntax error, unexpected end-of-input (SyntaxError)", "ruby", "syntax error, unexpected end-of-input (/srv/app.rb line 12)"),
    ("<internal:/usr/lib/ruby/vendor_ruby/rubygems/core_ext/kernel_require.rb>:85:in `require': cannot load such file -- sinatra (LoadError)\n\tfrom <internal:/usr/lib/ruby/x.rb>:85:in `require'\n\tfrom /srv/app.rb:1:in `<main>'", "ruby", "the Ruby module sinatra is not installed, needed by /srv/app.rb line 1"),
    ("node:internal/modules/esm/resolve:844\n  throw new ERR_MODULE_NOT_FOUND();\n        ^\nError [ERR_MODULE_NOT_FOUND]: Cannot find package 'fastify' imported from /srv/main.mjs\n    at packageResolve (node:internal/modules/esm/resolve:844:9)", "node", "the Node module fastify is not installed, needed by /srv/main.mjs"),
    ("file:///srv/main.mjs:1\nimport { lod } from './orders.mjs';\n         ^^^\nSyntaxError: The requested module './orders.mjs' does not provide an export named 'lod'\n    at ModuleJob._instantiate (node:internal/modules/esm/module_job:132:21)", "node", "'./orders.mjs' does not provide an export named 'lod' (/srv/main.mjs line 1)"),
    ("terminate called without an active exception", "c++", "std::terminate without an exception"),
    ("libc++abi: terminating due to uncaught exception of type std::runtime_error: no table orders", "c++", "std::runtime_error: no table orders"),
    ("thread 'tokio-runtime-worker' (4711) panicked at /srv/src/db.rs:12:9:\nno table orders\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace", "rust", "no table orders (/srv/src/db.rs line 12)"),
    ("Traceback (most recent call last):\n  File \"/srv/main.py\", line 5, in <module>\nValueError: no table\nwhile loading 'orders'", "python", "ValueError: no table; while loading 'orders' (/srv/main.py line 5)"),
    ("Traceback (most recent call last):\n  File \"/srv/main.py\", line 5, in <module>\npydantic.ValidationError: 1 validation error for Settings\nDATABASE_URL\n  field required", "python", "DATABASE_URL; field required"),
    ("can't read \"orders\": no such variable\n    while executing\n\"puts $orders\"\n    (file \"/srv/main.tcl\" line 3)", "tcl", "no such variable (/srv/main.tcl line 3)"),
    ("Shop/main.swift:12: Fatal error: no table orders", "swift", "no table orders (Shop/main.swift line 12)"),
    ("Fatal error: found nil: file Shop/main.swift, line 12", "swift", "found nil (Shop/main.swift line 12)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "language", "said"), FOUND)
def test_a_crash_and_its_sentence(text: str, language: str, said: str) -> None:
    one = case(*text.split("\n"))
    [crash] = crashes(one)
    assert crash.language == language
    assert said in judge(one).summary


@pytest.mark.parametrize(
    "text",
    [
        "Kernel pid 7 is ready",
        "the crasher: it is gone\n    exception: none",
        "/etc/shop/shop.conf: bad value at /etc/shop/shop.conf line 42.",  # of a configuration
        "Unhandled exceptions are logged",
        "Unhandled exception: see above",
        "exception Failure is raised",
        "CallStack (from HasCallStack):",  # nothing above it
        "while executing\nthe query",
        "Fatal error: no table orders",  # of whatever language
    ],
)
def test_no_crash(text: str) -> None:
    assert not crashes(case(*text.split("\n")))


def test_lines_of_others_are_no_notes() -> None:
    lines = ("Traceback (most recent call last):", '  File "/srv/main.py", line 5, in <module>')
    [crash] = crashes(case(*lines, "ValueError: no table", "INFO: bye"))
    assert crash.message == "no table"
    other = {"MESSAGE": "of another process", "_PID": "7"}
    [crash] = crashes(case(*lines, "ValueError: no table", other))
    assert crash.message == "no table"


def test_a_file_that_an_exception_names_is_looked_at() -> None:
    facts = Facts(paths={"/srv/orders": gone("/srv/orders")})
    text = 'Fatal error: exception Sys_error("/srv/orders: No such file or directory")'
    assert "/srv/orders does not exist" in judge(case(text, facts=facts)).summary
