using System.Data.Common;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;

namespace UPool.Cluster.Hosting;

/// <summary>
/// Holds a silo's start until the database answers, has the tables that the silo needs, and lets the control
/// connections do their work. Without it Orleans would end the process at the first error, and a process that waits for
/// its database can say so (health, log) and heals by itself.
/// </summary>
internal sealed class StartGate(
    ControlDatabase control,
    IOptions<UPoolClusterOptions> cluster,
    IOptions<DatabaseOptions> database,
    IOptions<BudgetOptions> budget,
    IEnumerable<SchemaScript> scripts,
    ProcessStatus status,
    TimeProvider clock,
    ILogger<StartGate> logger) : ILifecycleParticipant<ISiloLifecycle>
{
    private const string Place = "Start";

    // Short enough to be found quickly when the database is back, long enough not to be noticed by one that struggles.
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    public void Participate(ISiloLifecycle lifecycle) =>
        lifecycle.Subscribe(nameof(StartGate), ServiceLifecycleStage.First, PassAsync);

    private async Task PassAsync(CancellationToken cancellationToken)
    {
        bool isClustered = cluster.Value.ParsedMode == ClusterMode.MySql;
        if (database.Value.ConnectionString is not { } pool) return;

        while (await ProblemAsync(isClustered, pool, cancellationToken) is { } problem)
        {
            status.Report(Place, problem.Text, problem.Detail);
            await Task.Delay(RetryInterval, clock, cancellationToken);
        }

        status.Report(Place, null);
    }

    private async Task<Problem?> ProblemAsync(bool isClustered, string pool, CancellationToken cancellationToken)
    {
        try
        {
            if (cluster.Value.MigrateAtStart)
            {
                await SchemaMigrator.ApplyAsync(
                    control.Storage, ClusterSchema.ScriptsFor(budget.Value.IsOn).Concat(scripts), logger,
                    cancellationToken);
            }

            if (isClustered && await SchemaCheck.ProblemAsync(control.Storage, budget.Value.IsOn, cancellationToken)
                is { } problem)
            {
                return new Problem(problem);
            }

            // Behind the schema, because the register of sessions is a part of it. Without a budget, and with one
            // account for all, nothing is asked.
            return await control.Connections.CheckAsync(pool, cancellationToken) is { } refusal
                ? new Problem(refusal)
                : null;
        }
        catch (SchemaMigrationException exception)
        {
            return new Problem(SchemaCheck.CannotBeApplied, exception.Message.ReplaceLineEndings(" "));
        }
        catch (DbException exception)
        {
            return new Problem(control.DescribeInPublic, control.Describe(exception));
        }
    }

    private sealed record Problem(string Text, string? Detail = null);
}
