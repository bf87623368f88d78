using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Storage;
using UPool.Testing;

namespace UPool.Cluster.Tests.Membership;

/// <summary>Two real silos in this process; membership and grain state on our statements on MariaDB.</summary>
public sealed class TwoSilosFixture : IAsyncLifetime
{
    /// <summary>The name of the grain storage.</summary>
    public const string Storage = "upool";

    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private readonly List<IHost> _silos = [];

    /// <summary>The database.</summary>
    public SchemaFixture Schema { get; } = new();

    /// <summary>The silos' service providers.</summary>
    public IReadOnlyList<IServiceProvider> Silos => [.. _silos.Select(silo => silo.Services)];

    /// <summary>The grain storage of a silo.</summary>
    public IGrainStorage StorageOf(int silo) => Silos[silo].GetRequiredKeyedService<IGrainStorage>(Storage);

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        await Schema.InitializeAsync();
        for (var number = 0; number < 2; number++)
        {
            var silo = CreateSilo(number);
            _silos.Add(silo);
            await silo.StartAsync();
        }

        foreach (var silo in Silos)
        {
            await WaitForBothAsync(silo.GetRequiredService<IClusterMembershipService>());
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var silo in _silos)
        {
            await silo.StopAsync();
            silo.Dispose();
        }

        await Schema.DisposeAsync();
    }

    private static async Task WaitForBothAsync(IClusterMembershipService membership)
    {
        using var bound = new CancellationTokenSource(Bound);
        await foreach (var snapshot in membership.MembershipUpdates.WithCancellation(bound.Token))
        {
            if (snapshot.Members.Count(member => member.Value.Status == SiloStatus.Active) == 2)
            {
                return;
            }
        }
    }

    private IHost CreateSilo(int number)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.UseOrleans(silo => silo
            .Configure<ClusterOptions>(options =>
            {
                options.ClusterId = "two-silos";
                options.ServiceId = "two-silos";
            })
            .Configure<SiloOptions>(options => options.SiloName = $"silo {number}")
            .ConfigureEndpoints(IPAddress.Loopback, FreePort.Next(), FreePort.Next())
            .UseAdoNetClustering(options =>
            {
                options.Invariant = SchemaFixture.Invariant;
                options.DataSource = Schema.DataSource;
            })
            .AddAdoNetGrainStorage(Storage, options =>
            {
                options.Invariant = SchemaFixture.Invariant;
                options.DataSource = Schema.DataSource;
            }));
        return builder.Build();
    }
}
