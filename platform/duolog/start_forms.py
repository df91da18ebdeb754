"""What the forms that start runs are made of: fields, and what work on a dataset or of a model version asks for."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from detection import thresholds
from detection.models import ModelVersion
from duolog import access
from duolog.models import Role
from duolog.plugins import registry
from logs.models import Dataset, Project
from workers import runs
from workers.models import Run


class StartForm(forms.Form):
    """A form whose `options` are those of the job."""

    title: ClassVar[Any]
    button: ClassVar[Any]

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.prepare()

    def prepare(self) -> None:
        """Fill the choices with what the user may see."""

    def project(self) -> str:
        """Return the slug of the project that the run belongs to."""
        return str(self.cleaned_data["dataset"].project.slug)

    def options(self) -> dict[str, Any]:
        """Return the job's options."""
        return {**self.cleaned_data, "dataset": self.cleaned_data["dataset"].name}

    def start(self, job: str) -> Run:
        """Queue the run; raises JobFailed or OptionsError."""
        access.require(self.request.user, Role.ENGINEER, self.project())
        return runs.enqueue(job=job, options=self.options(), project=self.project(), user=access.person(self.request))


def policy(text: str) -> None:
    """Refuse what is no threshold policy."""
    try:
        thresholds.parse(text)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from error


def dataset_field(label: Any) -> forms.ModelChoiceField[Any]:
    """A choice of datasets, filled by `prepare`."""
    return forms.ModelChoiceField(Dataset.objects.none(), label=label, widget=UnfoldAdminSelectWidget())


def number_field(label: Any, initial: int, least: int = 0, help_text: Any = "") -> forms.IntegerField:
    """A whole number."""
    return forms.IntegerField(
        label=label, initial=initial, min_value=least, widget=UnfoldAdminIntegerFieldWidget(), help_text=help_text
    )


def text_field(label: Any, **kwargs: Any) -> forms.CharField:
    """A line of text."""
    return forms.CharField(label=label, max_length=100, widget=UnfoldAdminTextInputWidget(), **kwargs)


def plugin_field(label: Any, group: str, *first: tuple[str, Any]) -> forms.ChoiceField:
    """A choice of installed plugins; nothing is imported for it."""

    def choices() -> list[tuple[str, Any]]:
        return [*first, *((entry.name, entry.name) for entry in registry.discover(group) if not entry.error)]

    return forms.ChoiceField(label=label, choices=choices, widget=UnfoldAdminSelectWidget())


class OnDataset(StartForm):
    """Work on a dataset that exists."""

    dataset = dataset_field(_("Dataset"))

    def prepare(self) -> None:
        """Offer the user's datasets."""
        self.offer("dataset")

    def offer(self, name: str) -> None:
        """Fill a choice of datasets."""
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = access.visible(self.request.user, Dataset.objects.select_related("project"), "project__slug")


class IntoDataset(StartForm):
    """Work that fills a dataset, new or old."""

    into = forms.ModelChoiceField(Project.objects.none(), label=_("Project"), widget=UnfoldAdminSelectWidget())
    dataset = text_field(_("Dataset"), help_text=_("A new name makes a new dataset; an old one is added to."))

    def prepare(self) -> None:
        """Offer the user's projects."""
        field = self.fields["into"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = access.visible(self.request.user, Project.objects.all(), "slug")
        field.initial = field.queryset.first()

    def project(self) -> str:
        """Return the chosen project."""
        return str(self.cleaned_data["into"].slug)


class WithModel(OnDataset):
    """Work of a model version of a `kind` on a dataset or one part of it."""

    kind: ClassVar[ModelVersion.Kind] = ModelVersion.Kind.DETECTOR
    part = text_field(_("Part"), required=False, help_text=_("Such as test; empty: the job decides."))
    model = forms.ModelChoiceField(
        ModelVersion.objects.none(), label=_("Model version"), widget=UnfoldAdminSelectWidget()
    )

    def prepare(self) -> None:
        """Offer the user's model versions, too."""
        super().prepare()
        field = self.fields["model"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        field.queryset = access.visible(self.request.user, ModelVersion.objects.filter(kind=self.kind))
        field.initial = field.queryset.first()

    def clean(self) -> dict[str, Any]:
        """Refuse a model of another project than the dataset's."""
        data = super().clean() or {}
        if "model" in data and "dataset" in data and data["model"].project != data["dataset"].project.slug:
            self.add_error("model", _("This model belongs to another project."))
        return data

    def options(self) -> dict[str, Any]:
        """Name both by reference."""
        dataset, part, model = (self.cleaned_data[name] for name in ("dataset", "part", "model"))
        return {"dataset": f"{dataset.name}:{part}" if part else dataset.name, "model": str(model)}
