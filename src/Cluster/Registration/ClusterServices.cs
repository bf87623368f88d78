using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;
using UPool.Cluster.Status;
using UPool.Hosting;

namespace UPool.Cluster.Registration;

/// <summary>Services that silos and clients share.</summary>
internal static class ClusterServices
{
    /// <summary>The options, the budget, and the view of all pools.</summary>
    public static void AddCluster(this IServiceCollection services, IConfiguration configuration, bool isClient)
    {
        if (services.IsRegistered<LeaseHealth>()) return;

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<OrleansDataSource>();
        services.AddSingleton<IValidateOptions<UPoolClusterOptions>, UPoolClusterOptionsValidator>();
        services.AddKnownKeys<UPoolClusterOptions>(UPoolClusterOptions.Section);
        services.AddOptions<UPoolClusterOptions>().BindConfiguration(UPoolClusterOptions.Section).ValidateOnStart();
        services.AddSingleton<IProcessRole>(provider =>
            new ProcessRole(provider.GetRequiredService<IOptions<ClusterOptions>>(), isClient));
        AddBudget(services, configuration);
        services.AddSingleton<IPoolsReader>(static provider => new ClusterPoolReader(
            provider.GetRequiredService<IGrainFactory>(),
            provider.GetRequiredService<IOptions<BudgetOptions>>(),
            provider.GetRequiredService<DeploymentIdentity>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ClusterPoolReader>>(),
            provider.GetService<PooledDataSource>()));
    }

    /// <summary>Whether there is a budget. Known before the container exists; validation refuses an invalid value at
    /// the start.</summary>
    public static bool HasBudget(IConfiguration configuration) => !string.IsNullOrWhiteSpace(
        configuration[$"{BudgetOptions.Section}:{nameof(BudgetOptions.ServerConnections)}"]);

    private static void AddBudget(IServiceCollection services, IConfiguration configuration)
    {
        services.AddSingleton<IValidateOptions<BudgetOptions>, BudgetOptionsValidator>();
        services.AddKnownKeys<BudgetOptions>(BudgetOptions.Section);
        services.AddOptions<BudgetOptions>().BindConfiguration(BudgetOptions.Section).ValidateOnStart();
        services.AddSingleton<LeaseHealth>();
        services.AddSingleton<BudgetTelemetry>();
        services.AddSingleton<ILeaseKeeper, ProcessLease>();
        services.AddSingleton(static provider =>
        {
            ClusterOptions cluster = provider.GetRequiredService<IOptions<ClusterOptions>>().Value;
            return new DeploymentIdentity(cluster.ClusterId, cluster.ServiceId);
        });

        // Without a budget there is no agent.
        if (HasBudget(configuration)) services.AddSingleton<BudgetAgent>();
    }
}
