import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('detection', '0002_calibration_and_history'),
        ('logs', '0001_initial'),
        ('workers', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Scorecard',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('project', models.SlugField(default='default', verbose_name='project')),
                ('seeds', models.PositiveIntegerField(verbose_name='seeds')),
                ('protocols', models.JSONField(verbose_name='protocols')),
                ('instability', models.JSONField(verbose_name='instability')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='scorecards', to='logs.dataset', verbose_name='dataset')),
                ('run', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='workers.run', verbose_name='run')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='scorecards', to='detection.modelversion', verbose_name='version')),
            ],
            options={
                'verbose_name': 'scorecard',
                'verbose_name_plural': 'scorecards',
                'ordering': ['-created_at'],
            },
        ),
    ]
