"""What the corpus is made of.

A row: (subset, {tier: budget in MB, absent = everything}, [(package, extractor, tiers)]).

Packages of the tiers small and full did not change in bookworm since its release, but for base-files, which each
point release replaces and whose texts stay as they are but for its changelog [packages.check_lock]; those of max get
security updates, and their text changes with them. "*" stands for every package of the tier.
"""
from . import markup, roff
from .extractors import changelogs, copyrights, dictd, files, fortunes, metamath, r_books, sword

ALL, FULL, MAX = ("small", "full", "max"), ("full", "max"), ("max",)
LINUX = "usr/share/doc/linux-doc-6.1/"
RECIPE = [
 ("Books", {"small": 2.2}, [
   ("r-cran-janeaustenr", r_books("janeaustenr"), ALL),
   ("sword-text-kjv", sword, ALL),
   ("r-cran-tokenizers", r_books("tokenizers"), FULL),
   ("sword-text-web", sword, FULL),
   ("sword-comm-mhcc", sword, FULL),
 ]),
 ("Essays", {"small": 0.9}, [
   ("doc-debian",
    files("usr/share/doc/debian/**/*.txt*", "usr/share/doc/debian/**/*.gz", exclude="changelog"), ALL),
   ("debian-faq", files("usr/share/doc/debian/FAQ/debian-faq.en.txt.gz"), ALL),
   ("jargon-text", files("usr/share/doc/jargon-text/*.gz", "usr/share/jargon/*", exclude="changelog"), ALL),
   ("miscfiles", files("usr/share/state/*.gz", "usr/share/misc/*.gz", exclude="unicode"), FULL),
   ("gnu-standards", files("usr/share/doc/gnu-standards/*.txt*", "usr/share/info/*.gz"), FULL),
   ("anarchism", files("usr/share/doc/anarchism/markdown/*.md.gz"), FULL),
 ]),
 ("Dictionary", {"small": 1.2, "full": 12, "max": 24}, [
   ("dict-foldoc", dictd("foldoc"), ALL),
   ("dict-devil", dictd("devil"), ALL),
   ("dict-gcide", dictd("gcide"), FULL),
 ]),
 ("SourceCode", {"small": 1.8, "full": 20, "max": 40}, [
   ("libstb-dev", files("usr/include/stb/*.h"), ALL),  # C
   ("libeigen3-dev", files("usr/include/eigen3/**/*", exclude=r"\.txt$"), ALL),  # C++
   ("python3-networkx", files("usr/lib/python3/dist-packages/networkx/**/*.py"), ALL),  # Python
   ("golang-golang-x-tools-dev", files("usr/share/gocode/src/**/*.go", exclude="/testdata/"), ALL),  # Go
   ("libjs-three", files("usr/share/javascript/three/**/*.js", exclude=r"\.min\."), ALL),  # JavaScript
   ("librust-syn-dev", files("usr/share/cargo/registry/**/*.rs"), ALL),  # Rust
   ("librust-regex-dev", files("usr/share/cargo/registry/**/*.rs"), ALL),
   ("tcllib", files("usr/share/tcltk/**/*.tcl"), FULL),  # Tcl
   ("maxima-src", files("usr/share/maxima/*/src/**/*.lisp"), FULL),  # Lisp
   ("python3-sympy", files("usr/lib/python3/dist-packages/sympy/**/*.py"), FULL),
   ("golang-1.19-src",
    files("usr/share/go-1.19/src/**/*.go", "usr/share/go-1.19/src/**/*.s",
          "usr/share/go-1.19/src/**/*.[ch]",
          exclude=r"tables\.go|/testdata/|rewrite[A-Z0-9]|opGen|zerrors|zsys|ztypes"), FULL),
   ("rust-src",
    files("usr/src/rustc-*/library/[acps]*/src/**/*.rs",
          exclude=r"unicode_data|core_arch|generated"), FULL),
   ("libpython3.11-stdlib", files("usr/lib/python3.11/**/*.py"), MAX),
   ("perl-modules-5.36",
    files("usr/share/perl/5.36.0/**/*.p[lm]", exclude=r"unicore|Unicode/Collate/Locale|allkeys"), MAX),
   ("emacs-el",
    files("usr/share/emacs/*/lisp/progmodes/*.el.gz", "usr/share/emacs/*/lisp/net/*.el.gz"), MAX),
 ]),
 ("TechDocs", {"small": 1.2, "full": 14, "max": 30}, [
   ("debian-policy",
    files("usr/share/doc/debian-policy/*.txt.gz",
          "usr/share/doc/debian-policy/policy.html/_sources/*.rst.txt"), ALL),
   ("debian-reference-en", files("usr/share/debian-reference/debian-reference.en.txt.gz"), ALL),
   ("r-doc-info", files("usr/share/info/*.gz"), ALL),
   ("developers-reference", files("usr/share/developers-reference/_sources/*.rst.txt"), FULL),
   ("cppreference-doc-en-html",
    files("usr/share/cppreference/doc/html/en/**/*.html", transform=markup.html_text), FULL),
   ("python3.11-doc", files("usr/share/doc/python3.11/html/_sources/**/*.rst.txt"), MAX),
   ("perl-doc", files("usr/share/perl/5.36.0/pod/*.pod", exclude="perltoc|perluniprops"), MAX),
   ("git-doc", files("usr/share/doc/git/**/*.txt"), MAX),
   ("postgresql-doc-15",
    files("usr/share/doc/postgresql-doc-15/html/*.html", transform=markup.html_text,
          exclude="bookindex"), MAX),
 ]),
 ("ManPages", {"small": 1.2}, [
   ("manpages", files("usr/share/man/man*/*.gz", transform=roff.plain_text), ALL),
   ("manpages-dev", files("usr/share/man/man*/*.gz", transform=roff.plain_text), ALL),
 ]),
 ("Multilingual", {"small": 1.6, "full": 18, "max": 40}, [
   ("manpages-es", files("usr/share/man/es/man*/*.gz", transform=roff.plain_text), ALL),
   ("manpages-ru", files("usr/share/man/ru/man*/*.gz", transform=roff.plain_text), ALL),
   ("manpages-fr", files("usr/share/man/fr/man*/*.gz", transform=roff.plain_text), ALL),
   ("debian-reference-ja", files("usr/share/debian-reference/*.ja.txt.gz"), ALL),
   ("debian-reference-zh-cn", files("usr/share/debian-reference/*.zh-cn.txt.gz"), ALL),
   ("manpages-ja", files("usr/share/man/ja/man*/*.gz", transform=roff.plain_text), FULL),
   ("manpages-zh", files("usr/share/man/zh_CN/man*/*.gz", transform=roff.plain_text), FULL),
   ("manpages-de", files("usr/share/man/de/man*/*.gz", transform=roff.plain_text), FULL),
   ("manpages-pl", files("usr/share/man/pl/man*/*.gz", transform=roff.plain_text), FULL),
   ("gnome-user-docs", files("usr/share/help/[a-z]*/**/*.page", transform=markup.mallard_text), FULL),
   ("sword-text-sparv", sword, FULL),
 ]),
 ("FormalMath", {"small": 1.0, "full": 10, "max": 20}, [
   ("hol-light",
    files("usr/share/hol-light/**/*.ml", "usr/share/hol-light/**/*.hl",
          exclude=r"/(?:pa_j|Proofrecording)"), ALL),
   ("metamath-databases", metamath("set.mm"), FULL),
 ]),
 ("MathDocs", {"small": 0.6}, [
   ("hol-light", files("usr/share/hol-light/Help/*.doc"), ALL),
   ("pari-doc", files("usr/share/pari/doc/*.tex", exclude="mkref|pdfmacs|translations"), FULL),
   ("gap-doc",
    files("usr/share/gap/doc/*/chap[0-9]*.html", transform=markup.html_text,
          exclude=r"_mj|chapInd|chapBib|chap0"), FULL),
 ]),
 ("Quotes", {"small": 1.2, "full": 10}, [
   ("fortunes", fortunes("*"), ALL),
   ("fortunes-min", fortunes("*"), ALL),
   ("fortunes-ru", fortunes("**/*"), ALL),
   ("fortunes-debian-hints", fortunes("**/*"), ALL),
   ("fortunes-de", fortunes("**/*"), FULL),
   ("fortunes-es", fortunes("**/*"), FULL),
   ("fortunes-it", fortunes("**/*"), FULL),
   ("fortunes-cs", fortunes("**/*"), FULL),
   ("fortunes-pl", fortunes("**/*"), FULL),
   ("fortunes-br", fortunes("**/*"), FULL),
 ]),
 ("GameText", {"small": 0.6, "full": 5}, [
   ("nethack-common", files("usr/share/doc/nethack-common/*.gz", exclude="changelog"), ALL),
   ("crawl-common",
    files("usr/share/crawl/dat/database/*.txt", "usr/share/crawl/dat/descript/*.txt",
          "usr/share/crawl/docs/*.txt",
          "usr/share/crawl/dat/des/**/*.des"), ALL),
 ]),
 ("KernelDocs", {"max": 20}, [
   ("linux-doc-6.1",
    files(LINUX + "Documentation/**/*.rst.gz", LINUX + "Documentation/**/*.rst",
          LINUX + "Documentation/**/*.txt.gz",
          LINUX + "html/_sources/**/*.rst.txt*", exclude="translations/"), MAX),
 ]),
 ("Changelogs", {"small": 0.8, "full": 6, "max": 12}, [("*", changelogs, ALL)]),
 ("Legal", {"small": 0.4}, [
   ("*", copyrights, ALL),
   ("base-files", files("usr/share/common-licenses/*"), ALL),
 ]),
]
