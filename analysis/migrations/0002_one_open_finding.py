import django.db.models.deletion
from django.db import migrations, models

FILL = """
    UPDATE analysis_finding finding SET sequence_id = score.sequence_id, model = version.name
    FROM detection_score score JOIN detection_scan scan ON scan.id = score.scan_id
    JOIN detection_modelversion version ON version.id = scan.version_id
    WHERE score.id = finding.score_id
"""
# Of several open findings of a sequence the one with the newest score stays.
THIN = """
    DELETE FROM analysis_finding finding USING analysis_finding later
    WHERE finding.state = 'open' AND later.state = 'open' AND finding.sequence_id = later.sequence_id
      AND finding.model = later.model AND finding.score_id < later.score_id
"""
# Postgres alters no table that still has foreign keys to check.
CHECK = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"


class Migration(migrations.Migration):

    dependencies = [
        ('detection', '0001_initial'),
        ('logs', '0002_splits_and_statistics'),
        ('analysis', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='finding',
            name='sequence',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='findings', to='logs.sequence', verbose_name='sequence'),
        ),
        migrations.AddField(
            model_name='finding',
            name='model',
            field=models.SlugField(db_index=False, default='', editable=False, verbose_name='model'),
            preserve_default=False,
        ),
        migrations.RunSQL([FILL, THIN, CHECK], migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='finding',
            name='sequence',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='findings', to='logs.sequence', verbose_name='sequence'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'open')), fields=('sequence', 'model'), name='finding_open'),
        ),
    ]
