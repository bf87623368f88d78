using System.Reflection;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using UPool.Hosting;

namespace UPool.Management;

/// <summary>Logs the role and the addresses of this process once, after all services have started.</summary>
internal sealed partial class StartLine(
    IServer server,
    IHostEnvironment environment,
    ManagementPlace place,
    ILogger<StartLine> logger,
    PooledDataSource? pool = null,
    IProcessRole? role = null) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        string version = typeof(StartLine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
            .InformationalVersion.Split('+')[0];
        string addresses = string.Join(
            ", ", (server.Features.Get<IServerAddressesFeature>()?.Addresses ?? []).Select(Describe));
        string name = role?.Name ?? "a pool";
        LogStarted(
            version, addresses, pool is null ? name : $"{name}, database {pool.Target}", environment.EnvironmentName);
        return Task.CompletedTask;
    }

    private string Describe(string address) =>
        place.Port is { } port && new Uri(address).Port == port ? $"{address} (management)" : address;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(10, LogLevel.Information, "uPool {Version} serves {Addresses}: {Role} ({Environment})")]
    private partial void LogStarted(string version, string addresses, string role, string environment);
}
