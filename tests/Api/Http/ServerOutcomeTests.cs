using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MySqlConnector;
using UPool.Api.Tests.Contract;
using UPool.Api.Tests.Hosts;

namespace UPool.Api.Tests.Http;

/// <summary>The reply to a client if a real server fails a statement, delays it or is busy.</summary>
public sealed class ServerOutcomeTests(ServerOutcomeTests.Fixture fixture) : IClassFixture<ServerOutcomeTests.Fixture>
{
    private const int Connections = 2;

    private HttpClient Client => fixture.Client;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Any_TableIsMissing_Is500UntilItIsThere()
    {
        await using MySqlConnection other = await ConnectAsync();
        await ExecuteAsync(other, "RENAME TABLE tb1 TO tb1_away");

        (await Client.CallAsync("GET", "/user/list")).Refuses(500, "error");
        (await Client.CallAsync("GET", "/user/1")).Refuses(500, "error");
        (await Client.SendJsonAsync("POST", "/user", """{"name":"Ada"}""")).Refuses(500, "error");

        await ExecuteAsync(other, "RENAME TABLE tb1_away TO tb1");
        Assert.Equal(200, (await Client.CallAsync("GET", "/user/list")).Status);
    }

    [Fact]
    public async Task CreateBatch_LastNameIsTaken_Is500AndCreatesNone()
    {
        await using MySqlConnection other = await ConnectAsync();
        await ExecuteAsync(other, "ALTER TABLE tb1 ADD UNIQUE taken (name)");
        long last = (await Client.SendJsonAsync("POST", "/user", """{"name":"taken"}""")).Id;

        // Enough names for more than one statement.
        IEnumerable<string> names = Enumerable.Range(0, 999).Select(static i => $"{i} {new string('x', 240)}");
        Seen seen = await Client.SendJsonAsync(
            "POST", "/user/batch", $"[{string.Concat(names.Select(Named))}{{\"name\":\"taken\"}}]");

        seen.Refuses(500, "error");
        (await Client.CallAsync("GET", $"/user/list?after={last}")).Is(200, """{"code":1,"msg":"ok","data":[]}""");
        await ExecuteAsync(other, "ALTER TABLE tb1 DROP INDEX taken");

        static string Named(string name) => $"{{\"name\":\"{JsonEncodedText.Encode(name)}\"}},";
    }

    [Fact]
    public async Task Any_HeldUpPastItsDeadline_Is504AndAWriteSaysThatItsOutcomeIsUnknown()
    {
        await using MySqlConnection other = await ConnectAsync();
        await ExecuteAsync(other, "LOCK TABLES tb1 WRITE");

        Seen[] seen = await Task.WhenAll(
            Client.CallAsync("GET", "/user/list"), Client.SendJsonAsync("POST", "/user", """{"name":"Ada"}"""));

        seen[0].Refuses(504, "error");
        seen[1].Refuses(504, "outcome unknown");
        await ExecuteAsync(other, "UNLOCK TABLES");
        Assert.Equal(200, (await Client.CallAsync("GET", "/user/list")).Status);
    }

    [Fact]
    public async Task Any_NoConnectionInTime_Is503WithItsReason()
    {
        var pool = fixture.Services.GetRequiredService<PooledDataSource>();
        var held = new List<PooledConnection>();
        using var bound = new CancellationTokenSource(Patience.Long);
        while (held.Count < Connections)
        {
            RentResult rent = await pool.RentAsync(cancellationToken: bound.Token);
            if (rent.IsRented) held.Add(rent.GetConnectionOrThrow());
        }

        Seen refused = await Client.CallAsync("GET", "/user/list");

        refused.Refuses(503, "queue empty");
        Assert.Equal(("timed-out", "1"), (refused.Header("UPool-Reason"), refused.Header("Retry-After")));
        foreach (PooledConnection connection in held) await connection.DisposeAsync();
    }

    private async Task<MySqlConnection> ConnectAsync()
    {
        var connection = new MySqlConnection(fixture.Database.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        return connection;
    }

    private static async Task ExecuteAsync(MySqlConnection connection, string sql)
    {
        await using MySqlCommand command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync(Token);
    }

    public sealed class Fixture() : ServerHostFixture(new()
    {
        ["UPool:Pool:MaxConnections"] = Connections.ToString(),
        ["UPool:Pool:RentTimeout"] = "00:00:01",
        ["UPool:Http:RequestTimeout"] = "00:00:05",
    });
}
