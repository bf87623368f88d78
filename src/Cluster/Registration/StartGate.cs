using System.Data.Common;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>
/// Holds a silo's start until the database answers, has the tables that the silo needs, and lets the control
/// connections do their work. Without it Orleans would end the process at the first error; a process that waits for its
/// database reports the problem (health, log) and recovers on its own.
/// </summary>
internal sealed class StartGate(
    IServiceProvider services,
    IOptions<UPoolClusterOptions> cluster,
    IOptions<DatabaseOptions> database,
    IOptions<BudgetOptions> budget,
    IEnumerable<SchemaScript> scripts,
    TimeProvider clock,
    ILogger<StartGate> logger) : ILifecycleParticipant<ISiloLifecycle>
{
    private const string Place = "Start";

    // Short enough to notice soon that the database is back, long enough not to load one that struggles.
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    public void Participate(ISiloLifecycle lifecycle)
    {
        // An application that has made its pool itself is responsible for its database too.
        if (services.GetService<ProcessStatus>() is not { } status) return;

        var control = services.GetRequiredService<ControlDatabase>();
        lifecycle.Subscribe(
            nameof(StartGate), ServiceLifecycleStage.First, token => PassAsync(control, status, token));
    }

    private async Task PassAsync(ControlDatabase control, ProcessStatus status, CancellationToken cancellationToken)
    {
        if (database.Value.ConnectionString is not { } pool) return;

        while (await ProblemAsync(control, pool, cancellationToken) is { } problem)
        {
            status.Report(Place, problem.Text, problem.Detail);
            await Task.Delay(RetryInterval, clock, cancellationToken);
        }

        status.Report(Place, null);
    }

    // The tables of the silo's own clustering, and those of the budget.
    private IReadOnlyList<string> Required()
    {
        bool isClustered = cluster.Value.ParsedMode == ClusterMode.MySql
            && services.GetService<OwnCluster>() is not null;
        return SchemaCheck.Tables(isClustered, budget.Value.IsOn);
    }

    private async Task<Problem?> ProblemAsync(
        ControlDatabase control, string pool, CancellationToken cancellationToken)
    {
        try
        {
            if (cluster.Value.MigrateAtStart)
            {
                await SchemaMigrator.ApplyAsync(
                    control.Storage, ClusterSchema.ScriptsFor(budget.Value.IsOn).Concat(scripts), logger,
                    cancellationToken);
            }

            if (Required() is { Count: > 0 } required
                && await SchemaCheck.ProblemAsync(control.Storage, required, cancellationToken) is { } problem)
            {
                return new Problem(problem);
            }

            // After the schema, because the register of sessions is a part of it. Without a budget, and with one
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
