using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace UPool.Cluster.Hosting;

/// <summary>Says which of the application's tables are missing, until they are there. It holds nothing up: the silo
/// serves what it can, and a table made meanwhile is used at once.</summary>
internal sealed class TableWatch(
    ControlDatabase control,
    IOptions<DatabaseOptions> database,
    IOptions<UPoolClusterOptions> cluster,
    IEnumerable<RequiredTable> tables,
    ProcessStatus status,
    TimeProvider clock) : BackgroundService
{
    private const string Place = "Tables";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        string[] required = [.. tables.Select(static table => table.Name)];
        if (required.Length == 0 || database.Value.ConnectionString is null) return;

        // The migration of this very start is about to make them.
        while (cluster.Value.MigrateAtStart && !status.IsStarted)
        {
            await Task.Delay(RetryInterval, clock, stoppingToken);
        }

        while (!await AreThereAsync(required, stoppingToken))
        {
            await Task.Delay(RetryInterval, clock, stoppingToken);
        }
    }

    private async Task<bool> AreThereAsync(string[] required, CancellationToken cancellationToken)
    {
        try
        {
            List<string> missing = await SchemaCheck.MissingAsync(control.Storage, required, cancellationToken);
            status.Report(Place, missing.Count > 0 ? SchemaCheck.Describe(missing) : null);
            return missing.Count == 0;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Not ours to tell: the pool sees the same database and says what ails it.
            return false;
        }
    }
}
