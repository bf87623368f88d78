using System.Data.Common;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Hosting;

namespace UPool.Cluster.Membership;

/// <summary>Reports the application's tables that are missing or cannot be served, until they can, and their other
/// limits once. It delays nothing: the silo serves what it can, and uses a table created meanwhile at once.</summary>
internal sealed partial class TableWatch(
    IServiceProvider services,
    IOptions<DatabaseOptions> database,
    IOptions<UPoolClusterOptions> cluster,
    IEnumerable<RequiredTable> tables,
    TimeProvider clock,
    ILogger<TableWatch> logger) : QuietBackgroundService
{
    private const string Place = "Tables";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(2);

    // A limit is logged once, however often the tables are checked.
    private readonly HashSet<string> _told = new(StringComparer.Ordinal);

    protected override async Task WorkAsync(CancellationToken stoppingToken)
    {
        RequiredTable[] required = [.. tables];
        if (required.Length == 0 || database.Value.ConnectionString is null) return;

        // Both are registered if there is a connection string.
        var status = services.GetRequiredService<ProcessStatus>();
        DbDataSource storage = services.GetRequiredService<ControlDatabase>().Storage;

        // The migration of this start is about to create them.
        while (cluster.Value.MigrateAtStart && !status.IsStarted)
        {
            await Task.Delay(RetryInterval, clock, stoppingToken);
        }

        while (!await AreServedAsync(storage, status, required, stoppingToken))
        {
            await Task.Delay(RetryInterval, clock, stoppingToken);
        }
    }

    private async Task<bool> AreServedAsync(
        DbDataSource storage, ProcessStatus status, RequiredTable[] required, CancellationToken cancellationToken)
    {
        try
        {
            List<string> missing = await SchemaCheck.MissingAsync(
                storage, required.Select(static table => table.Name), cancellationToken);
            string? problem = missing.Count > 0
                ? SchemaCheck.Describe(missing)
                : await LookAsync(storage, required, cancellationToken);
            status.Report(Place, problem);
            return problem is null;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Not reported here: the pool uses the same database and reports its problem.
            return false;
        }
    }

    private async Task<string?> LookAsync(
        DbDataSource storage, RequiredTable[] required, CancellationToken cancellationToken)
    {
        var problems = new List<string>();
        await using DbConnection connection = await storage.OpenConnectionAsync(cancellationToken);
        foreach (RequiredTable table in required)
        {
            if (table.LookAsync is not { } look) continue;

            TableFindings findings = await look(connection, cancellationToken);
            problems.AddRange(findings.Problems);
            foreach (string limit in findings.Limits.Where(_told.Add)) LogLimit(limit);
        }

        return problems.Count > 0 ? string.Join(" ", problems) : null;
    }
}
