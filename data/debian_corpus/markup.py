"""HTML and Mallard XML without their tags."""
import re
from html.parser import HTMLParser

BLOCKS = {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "ul", "ol", "dl", "dt",
          "dd", "table", "blockquote", "section", "title", "hr", "figure", "note", "item", "screen"}
WIDE_BLOCKS = ("p", "h1", "h2", "h3", "h4", "pre", "table", "section")
SKIPPED = {"script", "style", "head", "nav", "header", "footer", "svg", "noscript", "aside", "info", "credit",
           "mal:credit", "media", "form", "button"}
SKIPPED_CLASS = re.compile(r"\b(?:t-navbar|t-nv\w*|editsection|toc|noprint|navheader|navfooter|printfooter|"
                           r"catlinks|mw-jump|NavigationBar)\b")
EMPTY = {"br", "img", "hr", "meta", "link", "input", "col", "base", "wbr", "area", "source", "param"}
PREFORMATTED = {"pre", "screen"}


class Stripper(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.out = []
        self.open = []            # elements
        self.skip_depth = None    # len(open) inside of a skipped element
        self.preformatted = 0

    def handle_starttag(self, tag, attrs):
        if tag in EMPTY:
            self.handle_startendtag(tag, attrs)
            return
        self.open.append(tag)
        if self.skip_depth is not None:
            return
        classes = next((value for key, value in attrs if key == "class" and value), "")
        if tag in SKIPPED or SKIPPED_CLASS.search(classes):
            self.skip_depth = len(self.open)
            return
        if tag in PREFORMATTED:
            self.preformatted += 1
        if tag in BLOCKS:
            self.out.append("\n\n" if tag in WIDE_BLOCKS else "\n")

    def handle_startendtag(self, tag, attrs):
        if tag in ("br", "hr") and self.skip_depth is None:
            self.out.append("\n")

    def handle_endtag(self, tag):
        if tag not in self.open:
            return
        while self.open:
            element = self.open.pop()
            if self.skip_depth is not None:
                if len(self.open) < self.skip_depth:
                    self.skip_depth = None
            elif element in PREFORMATTED:
                self.preformatted -= 1
            if element == tag:
                break
        if self.skip_depth is None:
            if tag in BLOCKS:
                self.out.append("\n")
            elif tag in ("td", "th"):
                self.out.append("\t")

    def handle_data(self, data):
        if self.skip_depth is None:
            self.out.append(data if self.preformatted > 0 else re.sub(r"[ \t\r\n]+", " ", data))


def html_text(source):
    stripper = Stripper()
    stripper.feed(source)
    stripper.close()
    text = re.sub(r"[ \t\u00a0]+\n", "\n", "".join(stripper.out))
    text = re.sub(r"\n[ ](?=\S)", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def mallard_text(source):
    source = re.sub(r"<info\b.*?</info>", "", source, flags=re.S)
    return html_text(re.sub(r"<!--.*?-->", "", source, flags=re.S))
