using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MySqlConnector;
using UPool.Cluster.Registration;
using UPool.Hosting;
using UPool.Testing;

namespace UPool.Cluster.Tests.Registration;

/// <summary>A start that waits for the database's administrator, reports the reason, and continues on its
/// own.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class StartGateTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("PROCESS", "gives the account of the control connections no CONNECTION ADMIN,")]
    [InlineData("CONNECTION ADMIN", "gives the account of the control connections no PROCESS,")]
    public async Task Start_ControlAccountLacksARight_WaitsAndSaysWhich(string right, string problem)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        await using var root = new MySqlConnection(server.RootConnectionString);
        await root.OpenAsync(TestContext.Current.CancellationToken);
        await ExecuteAsync(root, $"CREATE USER 'upool_other'@'%' IDENTIFIED BY '{server.Password}'");
        await ExecuteAsync(root, "GRANT ALL ON `upool%`.* TO 'upool_other'@'%'");
        await ExecuteAsync(root, $"GRANT {Sql.Privileges(right)} ON *.* TO 'upool_other'@'%'");
        string other =
            new MySqlConnectionStringBuilder(server.ConnectionString()) { UserID = "upool_other" }.ConnectionString;

        using IHost host = Silo(server.ConnectionString(), other);
        var status = host.Services.GetRequiredService<IProcessStatus>();
        Task start = host.StartAsync(TestContext.Current.CancellationToken);
        await UntilAsync(() => status.Health.Problem is not null);
        Assert.Contains(Sql.Privileges(problem), status.Health.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain(server.Password, status.Health.Problem, StringComparison.Ordinal);
        Assert.False(status.IsStarted);

        await ExecuteAsync(root, $"GRANT PROCESS, {Sql.ConnectionAdmin} ON *.* TO 'upool_other'@'%'");
        await start.WaitAsync(Bound, TestContext.Current.CancellationToken);
        Assert.True(status is { IsStarted: true, Health.IsHealthy: true });
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Start_ControlAccountWithItsRights_StartsAtOnce()
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync();
        using IHost host = Silo(server.ConnectionString(), server.ControlConnectionString());
        await host.StartAsync(TestContext.Current.CancellationToken).WaitAsync(Bound);
        Assert.True(host.Services.GetRequiredService<IProcessStatus>().Health.IsHealthy);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    private static IHost Silo(string pool, string control)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings
        {
            DisableDefaults = true,
            EnvironmentName = Environments.Production,
            ContentRootPath = Path.GetTempPath(),
        });
        builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create<string, string?>("ConnectionStrings:UPool", pool),
            KeyValuePair.Create<string, string?>("ConnectionStrings:UPoolControl", control),
        ]);
        builder.AddUPoolSilo();
        return builder.Build();
    }

    private static async Task ExecuteAsync(MySqlConnection connection, string statement)
    {
        await using var command = new MySqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    private static async Task UntilAsync(Func<bool> reached)
    {
        using var bound = new CancellationTokenSource(Bound);
        while (!reached()) await Task.Delay(20, bound.Token);
    }
}
