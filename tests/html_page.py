"""A page as its reader has it: its words, and its tags."""

from html.parser import HTMLParser

SPACE = "\u00a0"  # unbroken


class Page(HTMLParser):
    """tags: (name, attributes) in order. text: what stands outside scripts and styles. words: the same with a space
    between what different tags hold."""

    def __init__(self, html):
        super().__init__()
        self.tags, self._parts, self._skip = [], [], False
        self.feed(html)

    @property
    def text(self):
        return "".join(self._parts)

    @property
    def words(self):
        return " ".join(self._parts).replace(SPACE, " ")

    @property
    def outside(self):
        """Links to anything that is not in the file."""
        links = [attrs.get("href", attrs.get("src")) for _, attrs in self.tags if {"src", "href"} & set(attrs)]
        ids = {attrs["id"] for _, attrs in self.tags if "id" in attrs}
        return [link for link in links if link != "data:," and not (link[0] == "#" and link[1:] in ids)]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._skip = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._skip = False

    def handle_data(self, data):
        if not self._skip:
            self._parts.append(data)
