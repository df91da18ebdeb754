"""The console's forms that start a run, one a job: `/admin/start/scan/?dataset=3`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from detection.models import ModelVersion
from detection.promotion import TRIALS
from duolog import access
from duolog.models import Role
from duolog.plugins.options import OptionsError
from duolog.start_forms import (
    IntoDataset,
    OnDataset,
    StartForm,
    WithModel,
    dataset_field,
    number_field,
    plugin_field,
    policy,
    text_field,
)
from workers.jobs import JobFailed

SEED_HELP = _("The same seed gives the same result.")
THRESHOLD_HELP = _(
    "best-f1; rate=0.01: alarms a normal sequence; budget=2: false alarms a day and service. Empty: the detector "
    "decides."
)


class GenerateForm(IntoDataset):
    """Synthetic sequences."""

    title = _("Generate sample logs")
    button = _("Generate")

    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[
            ("sequences", _("sequences, to train a detector")),
            ("analysis", _("analysis: incidents explained, for the large model")),
        ],
        widget=UnfoldAdminSelectWidget(),
    )
    count = number_field(_("Sequences"), 8000, 1)
    language = forms.ChoiceField(
        label=_("Language"),
        choices=[
            ("mixed", _("mixed")),
            ("zh", _("Chinese")),
            ("en", _("English")),
            ("pairs", _("pairs: each incident in Chinese and in English (analysis only)")),
        ],
        widget=UnfoldAdminSelectWidget(),
    )
    seed = number_field(_("Seed"), 0, help_text=SEED_HELP)

    def clean(self) -> dict[str, Any]:
        """Refuse pairs where nothing is explained."""
        data = super().clean() or {}
        if data.get("language") == "pairs" and data.get("kind") == "sequences":
            self.add_error("language", _("Only analysis sets come in pairs."))
        return data

    def options(self) -> dict[str, Any]:
        """Pass the language to the generator."""
        asked = {name: self.cleaned_data[name] for name in ("dataset", "count", "seed", "kind")}
        return {**asked, "options": {"language": self.cleaned_data["language"]}}


class SplitForm(OnDataset):
    """Parts of a dataset."""

    title = _("Split a dataset")
    button = _("Split")

    strategy = forms.ChoiceField(
        label=_("Strategy"),
        choices=[
            ("random", _("random: alike in labels and types")),
            ("chronological", _("chronological: the oldest to train, the newest to test")),
            ("template", _("template: sequences of equal masked lines stay in one part")),
            ("source", _("source: whole sources are held out")),
        ],
        widget=UnfoldAdminSelectWidget(),
    )
    train = number_field(_("For training"), 0, help_text=_("All three zero: eight, one and one tenth."))
    validation = number_field(_("For validation"), 0)
    test = number_field(_("For testing"), 0)
    seed = number_field(_("Seed"), 0, help_text=SEED_HELP)


class TrainForm(OnDataset):
    """A new model version."""

    title = _("Train a detector")
    button = _("Train")

    detector = plugin_field(_("Detector"), "duolog.detectors")
    name = forms.SlugField(
        label=_("Name of the model"),
        required=False,
        max_length=50,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Empty: called after dataset and detector."),
    )
    threshold = text_field(_("Threshold"), required=False, help_text=THRESHOLD_HELP, validators=[policy])


class ScanForm(WithModel):
    """Look for anomalies."""

    title = _("Scan a dataset")
    button = _("Scan")

    explain = forms.ChoiceField(
        label=_("Blame of the lines"),
        choices=[
            ("counterfactual", _("counterfactual: each line left out, and all scored again")),
            ("fast", _("fast: by gradients, for long sequences and the detector moe")),
        ],
        widget=UnfoldAdminSelectWidget(),
    )

    def options(self) -> dict[str, Any]:
        """Add where the blame comes from."""
        return super().options() | {"explain": self.cleaned_data["explain"]}


class EvaluateForm(WithModel):
    """Compare a model with labels."""

    title = _("Evaluate a model")
    button = _("Evaluate")


class FinetuneForm(OnDataset):
    """A new version of an analyst."""

    title = _("Fine-tune an analyst")
    button = _("Fine-tune")

    analyst = plugin_field(_("Analyst"), "duolog.analysts")
    base = text_field(
        _("Base model"), required=False, help_text=_("A folder, or a name on a hub; empty: the analyst decides.")
    )
    name = forms.SlugField(
        label=_("Name of the model"),
        required=False,
        max_length=50,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Empty: called after dataset and analyst."),
    )
    canaries = number_field(
        _("Canaries"), 5, help_text=_("Invented secrets that are planted, to see whether they can be got out again.")
    )

    def prepare(self) -> None:
        """Begin with the analyst that can learn on any machine."""
        super().prepare()
        self.fields["analyst"].initial = "local"


class EvaluateAnalystForm(WithModel):
    """Compare an analyst with labels, and attack it."""

    title = _("Evaluate an analyst")
    button = _("Evaluate")
    kind = ModelVersion.Kind.ANALYST

    reports = number_field(_("Whole reports"), 30, help_text=_("Of the others only the verdict is asked for."))

    def options(self) -> dict[str, Any]:
        """Add how many reports are written."""
        return super().options() | {"reports": self.cleaned_data["reports"]}


class GapForm(OnDataset):
    """A synthetic dataset beside a real one."""

    title = _("Compare with a real dataset")
    button = _("Compare")

    dataset = dataset_field(_("Synthetic dataset"))
    real = dataset_field(_("Real dataset"))

    def prepare(self) -> None:
        """Offer the user's datasets for both."""
        super().prepare()
        self.offer("real")

    def clean(self) -> dict[str, Any]:
        """Refuse a real dataset of another project."""
        data = super().clean() or {}
        if "dataset" in data and "real" in data and data["dataset"].project != data["real"].project:
            self.add_error("real", _("This dataset belongs to another project."))
        return data

    def options(self) -> dict[str, Any]:
        """Name both."""
        return {name: self.cleaned_data[name].name for name in ("dataset", "real")}


class ThresholdForm(WithModel):
    """Another threshold for a model that exists."""

    title = _("Choose the threshold anew")
    button = _("Choose")

    threshold = text_field(_("Threshold"), initial="budget=2", help_text=THRESHOLD_HELP, validators=[policy])
    reason = text_field(_("Why"), required=False, help_text=_("It is recorded."))

    def options(self) -> dict[str, Any]:
        """Add how to choose, and why."""
        return super().options() | {name: self.cleaned_data[name] for name in ("threshold", "reason")}


class ScorecardForm(WithModel):
    """Try a model's recipe under every protocol."""

    title = _("Make a scorecard")
    button = _("Make the scorecard")

    part = None  # type: ignore[assignment]  # every trial divides the dataset anew
    seeds = number_field(
        _("Seeds"), TRIALS, 1, help_text=format_lazy(_("Trials of each protocol; promotion asks for {}."), TRIALS)
    )

    def options(self) -> dict[str, Any]:
        """Name both by reference."""
        data = self.cleaned_data
        return {"dataset": data["dataset"].name, "model": str(data["model"]), "seeds": data["seeds"]}


class RefreshForm(WithModel):
    """A labels-free model that follows its dataset."""

    title = _("Learn from the newest sequences")
    button = _("Refresh")

    part = None  # type: ignore[assignment]  # the newest of what was scanned
    sequences = number_field(
        _("Newest sequences"), 1000, 1, help_text=_("Of those that the model has scanned; alarms are left out.")
    )

    def options(self) -> dict[str, Any]:
        """Name both by reference."""
        data = self.cleaned_data
        return {"dataset": data["dataset"].name, "model": str(data["model"]), "sequences": data["sequences"]}


class LearningCurveForm(WithModel):
    """Train a model's recipe on few and on all labels."""

    title = _("Draw a learning curve")
    button = _("Draw")

    part = None  # type: ignore[assignment]  # it divides the dataset anew
    draws = number_field(_("Draws"), 3, 1, help_text=_("How often labels are drawn and the figures are measured."))

    def options(self) -> dict[str, Any]:
        """Name both by reference."""
        data = self.cleaned_data
        return {"dataset": data["dataset"].name, "model": str(data["model"]), "draws": data["draws"]}


FORMS: dict[str, Callable[..., StartForm]] = {
    "generate": GenerateForm,
    "split": SplitForm,
    "fit-detector": TrainForm,
    "scan": ScanForm,
    "finetune": FinetuneForm,
    "evaluate": EvaluateForm,
    "evaluate-analyst": EvaluateAnalystForm,
    "scorecard": ScorecardForm,
    "learning-curve": LearningCurveForm,
    "measure-gap": GapForm,
    "refresh": RefreshForm,
    "choose-threshold": ThresholdForm,
}


def start(request: HttpRequest, job: str) -> HttpResponse:
    """Show the form of a job, or queue the run and go to its page."""
    if job not in FORMS or not access.may_anywhere(request.user, Role.ENGINEER):
        raise Http404
    if request.method == "POST":
        form = FORMS[job](request.POST, request.FILES, request=request)
        if form.is_valid():
            try:
                run = form.start(job)
            except (JobFailed, OptionsError) as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, gettext("%(run)s is queued.") % {"run": run})
                return HttpResponseRedirect(reverse("admin:workers_run_change", args=[run.pk]))
    else:
        form = FORMS[job](initial=request.GET.dict(), request=request)
    context = {**admin.site.each_context(request), "form": form, "title": form.title}
    return TemplateResponse(request, "duolog/start.html", context)
