"""What a masked line is made of: punctuation, words, and values that masking leaves as they are.

`logs.engine.masking` leaves words alone, because vectors are cached by what it returns. Paths, hosts, addresses, lists
of masks, quantities with units and names of people vary, too; here they become one word `<*>` each. The rules are
those by which Khan et al. correct templates ("Guidelines for assessing the accuracy of log message template
identification techniques", ICSE 2022), and what Chinese needs, which has no spaces to tell a name from its verb.

In Python, one line at a time: only masked lines never seen before come here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from logs.engine.masking import MASK, PATTERN, B, mask
from logs.engine.statement import LEVELS

HEAD = 4096
"""Characters of a line that count."""
WORDS, TOKENS = 64, 400
"""Words of a line that may turn out to be variables, and tokens that are told apart; the rest counts as one value."""

M = re.escape(MASK)
BINARY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffd]+")
VALUE = re.compile(PATTERN.replace(B, r"\b"), re.ASCII)  # what `mask` replaces, for one line at a time
ADDRESS = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]+")
HAN = r"[\u3400-\u9fff]"
HOST = rf"(?:[\w-]|{M})+"
CHAR = r"[^\s\\/,;:'\"()\[\]{}=|<>?]"  # of a name in a path
WIDE = str.maketrans("：，；（）【】＝！？“”‘’「」《》", ':,;()[]=!?""\'\'""""')

# What becomes one value, in this order; a pattern is tried where one of these signs is in the line.
VALUES = tuple(
    (signs, re.compile(pattern, re.ASCII), by)
    for signs, pattern, by in (
        ("(", r"(?<=\s)\(\)(?=\s|$)", f"({MASK})"),  # an empty value; not the () of a function
        (":", r"\b([a-zA-Z][\w+.-]*://)[^\s\"'<>,;()\[\]{}]*(?:<\*>[^\s\"'<>,;()\[\]{}]*)*", rf"\1{MASK}"),
        # Windows and Unix paths, with the query and the protocol of a request line
        (
            "/\\",
            rf"(?<![\w>*.])(?:[A-Za-z]:|~|\.{{1,2}}|\\\\\?)?(?:[\\/]+(?:{CHAR}|{M})+){{2,}}[\\/]*"
            rf"(?:\?[^\s\"'()]*)?(?: HTTP/(?:[\d.]+|{M}))?",
            MASK,
        ),
        ("/", r"(?<![^\s=:\"'(\[])\.{0,2}/[\w.*-]+(?![\w/\\<])", MASK),  # /name  ./name
        (
            ".",
            rf"(?<![\w.]){HOST}(?:\.{HOST})*\.(?:com|net|org|edu|gov|io|local|internal|lan|"
            rf"(?:{HOST}\.)+(?:a[tu]|b[er]|c[ahnz]|d[ek]|e[su]|f[ir]|gr|h[ku]|i[eln]|it|jp|kr|m[xy]|n[loz]|p[lt]|r[ou]"
            r"|s[eg]|t[hrw]|u[aks]|vn|za))(?![\w.-])",
            MASK,
        ),
        (".", rf"(?<![\w.])[a-z0-9-]+(?:\.[a-z0-9-]+)+(?=:{M})", MASK),  # a host, by its port
        ("", r"\b[a-f]{8,}\b", MASK),  # hexadecimal digits that happen to be letters
    )
)
GLUE = r"(?:[\w\-~+@$%&\\/*]|(?<!\.)\.(?!\.))"
UNIT = r"(?: ?(?:[KMGT]?i?B|bytes?|[mun]?s|secs?|seconds?|minutes?|hours?|%)(?!\w))"
ATOM = f"[+~<-]{{0,2}}(?:{GLUE}*+{M})+(?:{GLUE}*[\\w\\\\/*])?"
QUANTITY = rf"{UNIT}?(?: \({M}{UNIT}\))?"
TOKEN = re.compile(
    rf"\s*(?:(?P<value>[a-zA-Z][\w+.-]*://{M}|{ATOM}(?::{ATOM})*{QUANTITY}(?:(?:,? |[,;|])[+-]?{M}(?::{M})*{UNIT}?)*)"
    rf"|(?P<word>\w(?:[\w.\-/\\$@#~%+&*]*[\w/*$])?)|(?P<han>{HAN}+)|(?P<sign>\S))",
    re.ASCII,
)
# How a value is shown: without its sign, and with what sticks to it (Khan et al.: WV, DV).
SIGN = re.compile(rf"(?<![^\s,;|:])[+~<-]+(?={M})|^/(?={M})")
STUCK = re.compile(rf"[\w.\\]*{M}(?:[\w.\\]|{M})*(?<!\.)", re.ASCII)

# Words that say what a line is about, however many of them are seen at one place.
TELLING = frozenset(LEVELS) | {
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRUE", "FALSE", "NULL", "NONE",
}  # fmt: skip
PERSON = re.compile(r"user|user_?name|account|login|uid|logname", re.IGNORECASE)
PEOPLE = "用户名?|客户|会员|员工|账号|帐号|账户|操作员|操作人|管理员|经办人|联系人|收件人|审批人|申请人"
SURNAME = (
    "(?!余额|金额|任务|任何|文件|文档|方法|方式|方案|常用|高级|安全|应用|程序|白名|黄金|于|万|石|何时)"
    "[王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟"
    "姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严欧莫孔向常]"
)
AFTER = (
    "登[录陆出入]|注[册销]|退出|提交|创建|新[增建]|下单|支付|付款|修改|更新|删除|查[询看]|上传|下载|访问|请求|申请|审[批核]"
    "|取消|绑定|解[绑锁]|认证|验证|校验|授权|购买|领取|收到|发[送起布]|上线|下线|离线|加入|签到|投诉|完成|执行|操作|尝试|连[接续]"
    "|密码|账号|权限|余额|信息|订单|的|已|在|于|被|未|不|从|对|将|向|没有|无|成功|失败|超时|正|因|通过"
)
NAMED = re.compile(
    rf"(?P<who>.*?(?:{PEOPLE}))(?P<name>{SURNAME}{HAN}{{1,2}}?)(?=(?:{AFTER})|$)"
    rf"|(?P<alone>{SURNAME}{HAN}{{1,2}}?)(?=登[录陆出]|注册|下单|签到)"  # 张三登录成功
)
OF_PERSON = re.compile(rf"(?:{PEOPLE})$")
NAMED_THING = re.compile(
    rf"(?:{PEOPLE}|服务|应用|主机|节点|实例|集群|容器|模块|组件|接口|方法|数据库|表|字段|索引|队列|主题|任务|作业|线程|进程|文件"
    "|目录|设备|插件|配置项?|参数|渠道|商品|商户|仓库|域名|网关)$"
)
QUOTES = {'"', "'"}
NAME = re.compile(rf"{SURNAME}{HAN}{{1,2}}")
DIGIT = re.compile("[0-9]")
IDENTIFIER = re.compile(r"[._/\\$@#-]|[a-z][A-Z]")
OWNED = re.compile(r"""[=:]\s*["'\[]?|\[|"|'""")

TELLERS = frozenset(
    {"service", "logger", "component", "app", "application", "module", "level", "lvl", "severity", "msg", "message"}
)
"""Keys whose value says what a line is about."""
NOUN = 4
"""A run of more Chinese characters is a clause."""

NEVER, RARELY, SOON, AT_ONCE = 0.0, 1 / 6, 1 / 3, 1 / 2
"""What a word adds to the evidence that its place is a variable's; at 1 it is: after 6 words, after 3, after 2."""


@dataclass(frozen=True, slots=True)
class Form:
    """A masked line: its `structure` (signs, "" where a word stands), its words, and each token as it is shown.

    `evidence` is what each word adds to the evidence that words vary at its place.
    """

    structure: tuple[str, ...]
    words: tuple[str | None, ...]
    evidence: tuple[float, ...]
    shown: tuple[str, ...]

    @property
    def text(self) -> str:
        """The line as a template's text shows it."""
        return "".join(self.shown).strip()


def masks(lines: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """Return the lines as they are mined, cut after `HEAD` characters, and masked."""
    if max(map(len, lines), default=0) > HEAD:
        lines = [line if len(line) <= HEAD else f"{line[:HEAD]} {MASK}" for line in lines]
    try:
        return lines, mask(lines)
    except UnicodeEncodeError:  # half a surrogate pair
        lines = [line.encode("utf-8", "replace").decode() for line in lines]
        return lines, mask(lines)


def refine(line: str, masked: str) -> str:
    """Return the masked line with `<*>:<*>` for an address with a port, quotes left where they stood, and no binary."""
    if '"' in line or "'" in line or ADDRESS.search(line):
        values = VALUE.findall(line)
        parts = masked.split(MASK)
        finer = "".join(chain.from_iterable(zip(parts, [*map(_shape, values), ""], strict=False)))
        if len(parts) == len(values) + 1:  # no `<*>` stood in the line itself
            masked = finer
    return BINARY.sub(MASK, masked)


def _shape(value: str) -> str:
    if value[0] in "'\"":
        return f"{value[0]}{MASK}{value[0]}"
    return f"{MASK}:{MASK}" if ADDRESS.fullmatch(value) else MASK


def covers(pieces: Sequence[str], text: str) -> bool:
    """Tell whether a text is these pieces with something between each two; linear, unlike a regular expression."""
    first, *others = pieces
    if not others:
        return text == first
    *middle, last = others
    at = len(first)
    for piece in middle:
        found = text.find(piece, at + 1)
        if found < 0:
            return False
        at = found + len(piece)
    return text.startswith(first) and text.endswith(last) and len(text) - len(last) > at


def read(line: str) -> Form:
    """Return the form of a masked line."""
    for signs, pattern, by in VALUES:
        if not signs or signs[0] in line or signs[-1] in line:
            line = pattern.sub(by, line)
    pieces = _pieces(line)
    structure = tuple([text.translate(WIDE) if kind == "sign" else "" for kind, text, _ in pieces])
    places = [place for place, sign in enumerate(structure) if not sign]
    level = [pieces[place][1].upper() in LEVELS for place in places]
    words, evidence = [], []
    for number, place in enumerate(places):
        kind, text, spaced = pieces[place]
        if kind != "value":
            owner = _owner(pieces, structure, place)
            if owner[1][:1] == "=" and kind == "word" and ("." in text or "/" in text):  # cmp=com.example/.Main
                kind, text = "value", MASK
                pieces[place] = kind, text, spaced
        if kind == "value":
            words.append(MASK)
            evidence.append(AT_ONCE)
            continue
        is_key = _is_key(pieces, structure, place)
        is_value = _is_value(kind, text, owner, is_key)
        # The first word, and the logger, which stands beside the level, say what a line is about.
        is_telling = not number or any(level[number - 1 : number + 2]) or text.upper() in TELLING
        words.append(MASK if is_value else text)
        evidence.append(AT_ONCE if is_value else NEVER if is_key or is_telling else _evidence(text, owner))
    shown = [_shown(text) if kind == "value" else text for kind, text, _ in pieces]
    spaced_out = tuple([f" {text}" if spaced else text for text, (_, _, spaced) in zip(shown, pieces, strict=True)])
    return Form(structure, tuple(words), tuple(evidence), spaced_out)


def _pieces(line: str) -> list[tuple[str, str, bool]]:
    """Return the tokens as (kind, text, whether a space stands before)."""
    pieces: list[tuple[str, str, bool]] = []
    for token in TOKEN.finditer(line):
        if len(pieces) >= TOKENS:
            return [*pieces, ("value", MASK, True)]
        kind = str(token.lastgroup)
        text, spaced = token[kind], token.start(kind) > token.start()
        if kind == "han" and (named := NAMED.match(text)):
            if named["who"]:
                pieces.append(("han", named["who"], spaced))
                spaced = False
            pieces.append(("name", named["name"] or named["alone"], spaced))
            text, spaced = text[named.end() :], False
        if text:
            pieces.append((kind, text, spaced))
    return pieces


def _is_key(pieces: list[tuple[str, str, bool]], structure: tuple[str, ...], place: int) -> bool:
    """Tell whether a word names what follows: user=  user:  "user":  and user =, but not user : and no storage742:."""
    after = "".join(structure[place + 1 : place + 3])
    if after[:1] == ":":
        return not pieces[place + 1][2] and not DIGIT.search(pieces[place][1])
    return after[:1] == "=" or after in {'":', "':", '"='}


def _owner(pieces: list[tuple[str, str, bool]], structure: tuple[str, ...], place: int) -> tuple[str, str]:
    """Return the word before a place, and what stands between: ("user", "=") for the bob of user="bob"."""
    at = place - 1
    while at >= 0 and structure[at] and place - at < 4:  # ="( or ："[
        at -= 1
    if at < 0 or structure[at]:
        return "", "".join(structure[max(at, 0) : place])
    between = "".join(structure[at + 1 : place])
    return pieces[at][1], between or (" " if pieces[place][2] else "")


def _is_value(kind: str, text: str, before: tuple[str, str], is_key: bool) -> bool:
    owner, between = before
    if kind == "name":
        return True
    if is_key or text.upper() in TELLING:
        return False
    if DIGIT.search(text):
        return True
    owned = bool(OWNED.fullmatch(between))
    is_person = owned and (PERSON.fullmatch(owner) or OF_PERSON.search(owner))
    return bool(is_person and (kind == "word" or NAME.fullmatch(text)))


def _evidence(text: str, before: tuple[str, str]) -> float:
    owner, between = before
    if between in QUOTES:  # 商品“苹果”
        return SOON if text.isascii() else AT_ONCE
    if between == "" and text.isascii() and not owner.isascii():  # 用户alice登录  服务order启动  调用redis失败
        return AT_ONCE if NAMED_THING.search(owner) else SOON
    is_owned = between in {"=", ":"} or (between[:1] in {"=", ":"} and between[-1:] in {'"', "'"})
    if is_owned and owner.lower() in TELLERS:
        return NEVER
    if IDENTIFIER.search(text):
        return AT_ONCE if is_owned and between != ":" else SOON
    if not text.isascii() and len(text) > NOUN:
        return NEVER
    return SOON if PERSON.fullmatch(owner) or (is_owned and between != ":") else RARELY


def _shown(value: str) -> str:
    return value if value == MASK or "://" in value else STUCK.sub(MASK, SIGN.sub("", value))
