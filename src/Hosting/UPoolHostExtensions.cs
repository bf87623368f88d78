using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace UPool.Hosting;

/// <summary>Adds a pool to a host.</summary>
public static class UPoolHostExtensions
{
    /// <summary>
    /// Adds the pool, a singleton <see cref="PooledDataSource"/> configured by <c>ConnectionStrings:UPool</c> and
    /// <c>UPool:Pool</c>. Its first connection is open before the host's services start, or its health names the
    /// problem; it is drained after they have stopped.
    /// </summary>
    public static IHostApplicationBuilder AddUPool(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        if (builder.Services.IsRegistered<PooledDataSource>()) return builder;

        builder.AddDatabase();
        IServiceCollection services = builder.Services;
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<PoolOptions>, PoolOptionsValidator>());
        services.AddKnownKeys<PoolOptions>(PoolOptionsValidator.Section);
        services.AddOptions<PoolOptions>().BindConfiguration(PoolOptionsValidator.Section).ValidateOnStart();
        services.AddSingleton(PoolFactory.Create);
        services.AddSingleton<PoolLife>();
        services.AddHostedService<PoolService>();
        return builder;
    }

    /// <summary>Adds the database options, the control connections and the process status, which a process without a
    /// pool needs too.</summary>
    internal static void AddDatabase(this IHostApplicationBuilder builder)
    {
        if (builder.Services.IsRegistered<ProcessStatus>()) return;

        IServiceCollection services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<ProcessStatus>();
        services.AddSingleton<IProcessStatus>(static provider => provider.GetRequiredService<ProcessStatus>());
        services.AddSingleton<ControlDatabase>();
        services.AddHostedService<CredentialWatch>();
        services.AddSingleton<IValidateOptions<DatabaseOptions>, DatabaseOptionsValidator>();
        services.AddSingleton<IValidateOptions<DatabaseOptions>, LeaseKeeperValidator>();
        services.AddOptions<DatabaseOptions>()
            .Configure<IConfiguration, IHostEnvironment>(DatabaseOptions.Read).ValidateOnStart();
    }

    internal static bool IsRegistered<T>(this IServiceCollection services) =>
        services.Any(static service => service.ServiceType == typeof(T));
}
