"""The console of alerts: what each role sees and may do, forms made of options, and secrets that nobody sees."""

from __future__ import annotations

import re

import pytest
from alert_receiver import Says, receiving

from analysis import channels
from analysis.models import Channel, Delivery

AT = "/admin/alerts/ours/"
KEY, SECRET = "t0ken-of-mine", "a secret of the webhook"


@pytest.fixture(autouse=True)
def _near(settings):
    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


def page(client, path=AT):
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def sent(url="https://hooks.example.com", **values):
    told = {"option-url": f"{url}/x?token={KEY}", "option-secret": SECRET, "option-language": "zh"}
    return {"name": "ops", "enabled": "on", **told, **values}


def test_a_project_without_channels_is_told_what_to_do(browser, ours):
    ours.channel.delete()
    html = page(browser("engineer"))
    assert "Nobody is told of anomalies yet" in html and "Send a test message." in html
    assert all(
        f'href="{AT}new/{name}/"' in html for name in ("dingtalk", "feishu", "wecom", "slack", "email", "webhook")
    )
    html = page(browser("viewer"))
    assert "Engineers of the project can set one up" in html and "/new/" not in html


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("reviewer", False), ("engineer", True)])
def test_each_role_sees_what_is_its_own(browser, ours, theirs, role, may):
    client, at = browser(role), f"{AT}{ours.channel.pk}/"
    listed, html = page(client), page(client, at)
    for each in (listed, html):
        assert "ours-hook" in each and "ours said &lt;script&gt;" in each
        assert "<script>alert" not in each and "theirs" not in each
        assert "ours-hook-key" not in each and "ours-secret" not in each and "ours.example.com" not in each
    assert ('aria-label="Test ours-hook"' in listed, "/new/slack/" in listed) == (may, may)
    assert ('name="deed"' in html, "option-url" in html) == (may, may)


@pytest.mark.parametrize("deed", ["save", "test", "delete", "add-route", "delete-route"])
def test_only_engineers_of_the_project_do_something(browser, ours, theirs, deed):
    told = sent(deed=deed, severity="low", service="*", route=ours.channel.routes.get().pk)
    assert browser("reviewer").post(f"{AT}{ours.channel.pk}/", told).status_code == 403
    client = browser("owner")
    assert client.post(f"/admin/alerts/theirs/{theirs.channel.pk}/", told).status_code == 404
    assert client.post(f"{AT}{theirs.channel.pk}/", told).status_code == 404
    ours.channel.refresh_from_db()
    assert ours.channel.name == "ours-hook" and ours.channel.routes.count() == 1
    assert ours.channel.deliveries.count() == theirs.channel.deliveries.count() == 1


def test_new_and_test_are_for_engineers_too(browser, ours, theirs):
    assert browser("reviewer").get(f"{AT}new/slack/").status_code == 403
    client = browser("engineer")
    assert client.get("/admin/alerts/theirs/new/slack/").status_code == 404
    assert client.get(f"{AT}new/carrier-pigeon/").status_code == 404
    assert client.post("/admin/alerts/theirs/", {}).status_code == 404
    assert client.post(f"/admin/alerts/theirs/{theirs.channel.pk}/test/").status_code == 404
    assert client.get(f"{AT}{ours.channel.pk}/test/").status_code == 405
    assert client.post(f"{AT}{ours.channel.pk}/", {"deed": "dance"}).status_code == 404


def test_the_menu_leads_to_the_page_of_the_only_project_or_to_a_list(browser, ours, theirs):
    client, root = browser("viewer"), browser("root")
    assert 'href="/admin/alerts/"' in page(client, "/admin/")
    assert client.get("/admin/alerts/").url == AT
    html = page(root, "/admin/alerts/")
    assert AT in html and "/admin/alerts/theirs/" in html
    assert browser("stranger").get("/admin/alerts/").status_code == 404


@pytest.mark.parametrize("notifier", ["alertmanager", "webhook", "slack", "dingtalk", "feishu", "wecom", "email"])
def test_a_form_is_made_of_the_options_of_its_notifier(browser, ours, notifier):
    from dataclasses import fields

    from duolog.plugins import registry
    from duolog.plugins.options import marked

    options = registry.get(channels.GROUP, notifier).Options
    client = browser("engineer")
    html = page(client, f"{AT}new/{notifier}/")
    assert [field.name for field in fields(options) if f'name="option-{field.name}"' not in html] == []
    for name in marked(options, "secret"):
        assert re.search(rf'<input type="password" name="option-{name}"', html)
    client.post("/i18n/setlang/", {"language": "zh-hans"})
    html = page(client, f"{AT}new/{notifier}/")
    assert "与站点设置相同" in html and ("地址" in html or "邮件服务器" in html)


def test_a_channel_is_made_changed_and_deleted(browser, ours):
    client = browser("engineer")
    answer = client.post(f"{AT}new/webhook/", sent(), follow=True)
    assert "Send a test message to see" in answer.content.decode()
    made = Channel.objects.get(name="ops")
    at = f"{AT}{made.pk}/"
    html = page(client, at)
    assert KEY not in html and SECRET not in html and "It is set. Empty: it stays what it is." in html
    assert '<option value="zh" selected' in html
    changed = sent(
        deed="save", name="oncall", enabled="", **{"option-url": "", "option-secret": "", "option-language": ""}
    )
    assert "It is saved." in client.post(at, changed, follow=True).content.decode()
    made.refresh_from_db()
    assert (made.name, made.enabled, made.options) == ("oncall", False, {"language": ""})
    assert channels.whole(made)["secret"] == SECRET
    assert "switched off" in page(client)
    assert client.post(at, {"deed": "delete"}).url == AT
    assert not Channel.objects.filter(pk=made.pk).exists()


def test_what_makes_no_sense_is_told_in_the_readers_language(browser, ours):
    client = browser("engineer")
    html = client.post(f"{AT}new/webhook/", sent(**{"option-url": f"ftp://{KEY}"})).content.decode()
    assert "none of the form https://host/path" in html and KEY not in html
    assert (
        "has a channel ours-hook already" in client.post(f"{AT}new/webhook/", sent(name="ours-hook")).content.decode()
    )
    client.post("/i18n/setlang/", {"language": "zh-hans"})
    html = client.post(f"{AT}new/webhook/", sent(**{"option-secret": "short"})).content.decode()
    assert "签名密钥不足 8 个字符" in html and "short" not in html


def test_a_moved_target_asks_for_its_password(browser, ours):
    client = browser("engineer")
    told = {"name": "am", "enabled": "on", "option-url": "http://am.example.com", "option-user": "duolog"}
    client.post(f"{AT}new/alertmanager/", told | {"option-password": "am-passw0rd"})
    made = Channel.objects.get(name="am")
    moved = told | {"deed": "save", "option-url": "http://evil.example.com", "option-password": ""}
    assert "so enter password anew" in client.post(f"{AT}{made.pk}/", moved).content.decode()
    made.refresh_from_db()
    assert made.options["url"] == "http://am.example.com"


def test_a_test_tells_what_became_of_it(browser, ours, receiver):
    client = browser("engineer")
    client.post(f"{AT}new/webhook/", sent(receiver.url))
    made = Channel.objects.get(name="ops")
    html = client.post(f"{AT}{made.pk}/", {"deed": "test"}, follow=True).content.decode()
    assert "The test message to ops has arrived." in html
    receiver.answers = [Says(404, f"no {KEY}".encode())]
    html = client.post(f"{AT}{made.pk}/test/", follow=True).content.decode()
    assert "The test message to ops has not arrived: 127.0.0.1 answers 404: no …" in html
    assert KEY not in html and len(receiver.seen) == 2


def test_routes_are_added_and_deleted(browser, ours):
    client, at = browser("engineer"), f"{AT}{ours.channel.pk}/"
    told = {"deed": "add-route", "severity": "high", "service": "pay-*", "begin": "22:00", "end": "06:30"}
    told |= {"weekdays": ["5", "6"], "zone": "Asia/Shanghai"}
    html = client.post(at, told, follow=True).content.decode()
    assert "Fri, Sat, 22:00–06:30 (Asia/Shanghai)" in html
    made = ours.channel.routes.get(service="pay-*")
    assert (made.from_minute, made.until_minute, made.weekdays) == (1320, 390, "56")
    html = client.post(at, told | {"zone": "Mars"}).content.decode()
    assert "is no time zone" in html and "<details" in html
    client.post(at, {"deed": "delete-route", "route": made.pk})
    assert list(ours.channel.routes.values_list("service", flat=True)) == ["*"]
    for odd in ("x", "9" * 30, ""):
        assert client.post(at, {"deed": "delete-route", "route": odd}).status_code == 404
    ours.channel.routes.all().delete()
    assert "Without a route it is told of nothing." in page(client, at)


def test_the_log_is_filtered_and_paged(browser, ours):
    rows = [Delivery(channel=ours.channel, kind="test", state="sent", due_at=None) for _ in range(120)]
    Delivery.objects.bulk_create(rows)
    client = browser("viewer")
    html = page(client)
    assert "1 / 3" in html and "page=2" in html
    html = page(client, f"{AT}?state=failed&kind=test&channel={ours.channel.pk}")
    assert "ours said" in html and "1 / " not in html
    assert "There is nothing." in page(client, f"{AT}?kind=resolved")
    for odd in ("?channel=x", "?channel=" + "9" * 30, "?state=%00", "?page=99999", "?page=x"):
        page(client, AT + odd)


def test_a_notifier_that_is_gone_leaves_its_channel_readable(browser, ours):
    Channel.objects.filter(pk=ours.channel.pk).update(notifier="carrier-pigeon")
    client = browser("engineer")
    assert "cannot be used here" in page(client, f"{AT}{ours.channel.pk}/")
    assert client.post(f"{AT}{ours.channel.pk}/", sent(deed="save")).status_code == 404
    assert client.post(f"{AT}{ours.channel.pk}/", {"deed": "delete"}).status_code == 302
