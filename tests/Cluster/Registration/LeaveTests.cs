using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MySqlConnector;
using UPool.Cluster.Membership;
using UPool.Cluster.Registration;
using UPool.Cluster.Tests.Membership;
using UPool.Cluster.Tests.Workers;
using UPool.Cluster.Workers;

namespace UPool.Cluster.Tests.Registration;

/// <summary>A silo that leaves while a client calls continuously.</summary>
public sealed class LeaveTests(SchemaFixture schema) : IClassFixture<SchemaFixture>
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    // Twice the time for which Orleans' client alone remembers that a silo is leaving.
    private static readonly TimeSpan TableHeld = GatewayList.RefreshInterval * 2;

    private readonly Board _board = new();

    // When several silos leave together, one changes the membership table; the rows of the others stay Active for some
    // seconds. Here a lock on the table keeps the row Active.
    [Fact]
    public async Task Leave_RowStillSaysActive_ClientsStayAway()
    {
        string cluster = $"leave-{Guid.NewGuid():N}";
        using IHost leaving = await StartSiloAsync(cluster);
        using IHost staying = await StartSiloAsync(cluster);
        using IHost caller = await StartAsync(cluster, static builder => builder.AddUPoolClient());
        var client = caller.Services.GetRequiredService<WorkerClient<IProbeGrain>>();
        string left = NameOf(leaving);
        string stays = NameOf(staying);
        await UntilAsync(async () => await WhoAnswersAsync(client) == left);
        await UntilAsync(async () => await WhoAnswersAsync(client) == stays);

        Task stop;
        await using (MySqlConnection holder =
            await schema.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken))
        await using (MySqlTransaction table = await holder.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using var hold =
                new MySqlCommand("SELECT Version FROM upool_member_version FOR UPDATE", holder, table);
            await hold.ExecuteScalarAsync(TestContext.Current.CancellationToken);
            stop = leaving.StopAsync(TestContext.Current.CancellationToken);

            // The gateways alternate, so two replies in a row from the other silo show that the notice has arrived.
            await UntilAsync(async () =>
                await WhoAnswersAsync(client) == stays && await WhoAnswersAsync(client) == stays);
            long startedAt = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(startedAt) < TableHeld)
                Assert.Equal(stays, await WhoAnswersAsync(client));

            Assert.Equal("3", await StatusAsync(left));
        }

        while (!stop.IsCompleted) Assert.Equal(stays, await WhoAnswersAsync(client));
        await stop;
        await caller.StopAsync(TestContext.Current.CancellationToken);
        await staying.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Leave_RowSaysSo_ServesUntilClientsCanHaveReadIt()
    {
        using IHost leaving = await StartSiloAsync($"leave-{Guid.NewGuid():N}");
        string left = NameOf(leaving);
        Task stop = leaving.StopAsync(TestContext.Current.CancellationToken);
        await UntilAsync(async () => await StatusAsync(left) == "4");
        long saidAt = Stopwatch.GetTimestamp();
        await UntilAsync(async () => await StatusAsync(left) == "6");

        // A status is seen a little after it was written, so the measured time may be a little short.
        Assert.True(Stopwatch.GetElapsedTime(saidAt) >= GatewayList.RefreshInterval);
        await stop;
    }

    private static string NameOf(IHost silo) => silo.Services.GetRequiredService<ILocalSiloDetails>().Name;

    private static async Task<string> WhoAnswersAsync(WorkerClient<IProbeGrain> client)
    {
        Reply<string> reply = await client.WriteAsync<string>(
            static (grain, due, token) => grain.Write(due, token),
            Deadline.After(Bound),
            TestContext.Current.CancellationToken);
        Assert.Equal(ReplyStatus.Ok, reply.Status);
        return reply.Value!;
    }

    private static async Task UntilAsync(Func<Task<bool>> reached)
    {
        long startedAt = Stopwatch.GetTimestamp();
        while (!await reached())
        {
            Assert.True(Stopwatch.GetElapsedTime(startedAt) < Bound, "The condition was not met in time.");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    private Task<string> StatusAsync(string silo) =>
        schema.ExecuteAsync("SELECT Status FROM upool_member WHERE SiloName = @silo", ("@silo", silo));

    private Task<IHost> StartSiloAsync(string cluster) => StartAsync(cluster, builder =>
    {
        builder.AddUPoolSilo();
        builder.Services.AddSingleton(_board);
    });

    private async Task<IHost> StartAsync(string cluster, Action<IHostApplicationBuilder> configure)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings
        {
            DisableDefaults = true,
            EnvironmentName = Environments.Production,
            ContentRootPath = Path.GetTempPath(),
        });
        builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create<string, string?>("ConnectionStrings:UPool", schema.DataSource.ConnectionString),
            KeyValuePair.Create<string, string?>("UPool:Cluster:Mode", nameof(ClusterMode.MySql)),
            KeyValuePair.Create<string, string?>("UPool:Cluster:ClusterId", cluster),
            KeyValuePair.Create<string, string?>("UPool:Cluster:ServiceId", cluster),
        ]);
        configure(builder);
        IHost host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken).WaitAsync(Bound);
        return host;
    }
}
