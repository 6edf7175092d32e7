"""A light de-roffing of man(7) pages, without groff: filled paragraphs, headings, examples as they stand."""
import re

ESCAPE = re.compile(
    r"\\(?:f(?:\[[^\]]*\]|\([A-Za-z]{2}|.)|s[+-]?\d{1,2}|[&|^/,%:c)]|"
    r"m\[[^\]]*\]|k.|h'[^']*'|v'[^']*'|w'[^']*')")
SPECIAL = re.compile(r"\\\[([^\]]*)\]|\\\((..)")
STRING = re.compile(r"\\\*(?:\[[^\]]*\]|\(..|.)")
CHARACTERS = {"-": "-", "e": "\\", "'": "'", "`": "`", " ": " ", "~": " ", "0": " ", "t": "\t",
              "\\": "\\", ".": "."}
NAMED = {
    "aq": "'", "dq": '"', "lq": "\u201c", "rq": "\u201d", "oq": "\u2018", "cq": "\u2019", "em": "\u2014",
    "en": "\u2013", "bu": "\u2022", "co": "\u00a9", "rg": "\u00ae", "ga": "`", "ha": "^", "ti": "~",
    "rs": "\\", "hy": "-", "+-": "\u00b1", "mu": "\u00d7", "->": "\u2192", "<-": "\u2190", "<=": "\u2264",
    ">=": "\u2265", "!=": "\u2260", "at": "@", "sh": "#", "Do": "$", "Fo": "\u00ab", "Fc": "\u00bb",
    "mc": "\u00b5", "*m": "\u03bc", "de": "\u00b0", "/_": "\u2220", "12": "\u00bd", "14": "\u00bc",
    ":a": "\u00e4", ":o": "\u00f6", ":u": "\u00fc", "'e": "\u00e9", "`e": "\u00e8", "ss": "\u00df", "bv": "|"}

REQUEST = re.compile(r"[.']\s*([A-Za-z]{1,8}|\\\")?\s?(.*)")
ARGUMENT = re.compile(r'"[^"]*"|\S+')
HEADINGS = ("SH", "SS", "Sh", "Ss")
FONTS = ("B", "I", "SM", "SB")
ALTERNATING_FONTS = ("BR", "IR", "RB", "RI", "BI", "IB")
PARAGRAPHS = ("IP", "PP", "P", "LP", "HP", "sp", "Pp")
INLINE = ("UR", "MT", "Nm", "Nd", "Dv", "Fl", "Ar", "Xr", "Op", "Pa", "Fn", "Li", "Em", "Sy", "Va", "Cm")
CJK = 0x2e80  # from here on characters are joined without a space


def named_character(match):
    name = match.group(1) or match.group(2)
    if re.fullmatch(r"u[0-9A-F]{4,5}", name or ""):
        return chr(int(name[1:], 16))
    return NAMED.get(name, "")


def plain_line(line):
    line = STRING.sub("", SPECIAL.sub(named_character, ESCAPE.sub("", line)))
    return re.sub(r"\\(.)", lambda match: CHARACTERS.get(match.group(1), match.group(1)), line)


class Page:
    def __init__(self):
        self.out = []
        self.paragraph = []
        self.unfilled = False  # between .nf and .fi
        self.tag = False       # the next text is the tag of .TP: a line of its own

    def flush(self, blank=False):
        text = ""
        for word in self.paragraph:
            joined = not text or not word or ord(text[-1]) >= CJK and ord(word[0]) >= CJK
            text += word if joined else " " + word
        self.paragraph.clear()
        if text:
            self.out.append(text)
        if blank and self.out and self.out[-1] != "":
            self.out.append("")

    def text(self, line):
        line = plain_line(line)
        if self.unfilled or line[:1] in " \t":
            self.flush()
            self.out.append(line.rstrip())
        elif line.strip():
            self.paragraph.append(line.strip())
        if self.tag:
            self.flush()
            self.tag = False

    def request(self, name, rest):
        arguments = [word.strip('"') for word in ARGUMENT.findall(rest)]
        if name == "TH":
            self.out.append(plain_line("(".join(arguments[:2]) + (")" if len(arguments) > 1 else "")))
        elif name in HEADINGS:
            self.flush(True)
            self.out += [plain_line(" ".join(arguments)), ""]
        elif name in FONTS:
            self.text(" ".join(arguments))
        elif name in ALTERNATING_FONTS:
            self.text("".join(arguments))
        elif name in ("TP", "TQ"):
            self.flush(name == "TP")
            self.tag = True
        elif name in PARAGRAPHS:
            self.flush(True)
            if name == "IP" and arguments:
                self.paragraph.append(plain_line(arguments[0]))
        elif name in ("br", "RS", "RE"):
            self.flush()
        elif name in ("nf", "EX"):
            self.flush()
            self.unfilled = True
        elif name in ("fi", "EE"):
            self.unfilled = False
        elif name in INLINE:
            self.text(rest)


def plain_text(source):
    if source.startswith(".so "):
        return ""
    page = Page()
    in_definition = False
    for line in source.split("\n"):
        if in_definition:
            in_definition = not line.startswith("..")
        elif line[:1] and line[0] in ".'":
            match = REQUEST.match(line)
            name = match.group(1) or ""
            if name in ("de", "ig", "am"):
                in_definition = True
            else:
                page.request(name, match.group(2))
        elif not line.strip():
            page.flush(True)
        else:
            page.text(line)
    page.flush()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(page.out)).strip("\n") + "\n"
