"""The lines of a source in the order of their receipt: the newest of them, and a chunk by its number."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('logs', '0007_redaction')]

    operations = [
        migrations.RunSQL("CREATE INDEX chunk_order ON logs_chunk (source_id, id)", "DROP INDEX chunk_order"),
    ]
