using System.Data;
using System.Data.Common;
using System.Net.Sockets;

using MySqlConnector;

using UPool.Testing;

using static UPool.Tests.MySql.MySqlPoolFixture;

namespace UPool.Tests.MySql;

/// <summary>Failures that cost one statement or one session, and no other.</summary>
[Trait("Needs", "OwnProcesses")]
public sealed class UnusableSessionTests : OnSharedServer
{
    [Theory]
    [InlineData("XA START 'a'; INSERT INTO t VALUES (1); XA END 'a'; XA PREPARE 'a'")]
    [InlineData("XA START 'a'; INSERT INTO t VALUES (1); XA END 'a'; /* x */ xa prepare 'a'")]
    [InlineData("CALL prepares()")]
    public async Task Close_XaTransactionPrepared_NextRentersAreNotAffected(string script)
    {
        PooledDataSource pool = Fixture.CreatePool(o =>
        {
            o.MaxConnections = 1;
            o.RentTimeout = TimeSpan.FromSeconds(20);
        });
        await using MySqlConnection other = await Fixture.ObserveAsync();
        string xid = Database.Name;
        script = script.Replace("'a'", $"'{xid}'", StringComparison.Ordinal);
        await ExecuteAsync(other, "CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB");
        await ExecuteAsync(other, "CREATE TABLE u (id INT PRIMARY KEY) ENGINE=InnoDB");
        await ExecuteAsync(
            other,
            $"CREATE PROCEDURE prepares() BEGIN XA START '{xid}'; INSERT INTO t VALUES (1); XA END '{xid}';"
            + $" XA PREPARE '{xid}'; END");
        try
        {
            await using (DbConnection connection = await pool.OpenConnectionAsync())
                await ExecuteAsync(connection, script);

            // Inside a procedure it cannot be detected: the first renter may then meet it, and no later one.
            int failed = 0;
            for (int i = 0; i < 3; i++)
            {
                await using DbConnection next = await pool.OpenConnectionAsync();
                try
                {
                    await ExecuteAsync(next, $"INSERT INTO u VALUES ({i})");
                }
                catch (MySqlException)
                {
                    failed++;
                }
            }

            Assert.InRange(failed, 0, script.StartsWith("CALL", StringComparison.Ordinal) ? 1 : 0);
        }
        finally
        {
            await UntilAsync(pool, s => s.Closing == 0, 20, "the end of its session");
            await ExecuteAsync(other, $"XA ROLLBACK '{xid}'");
        }
    }

    [Theory]
    [InlineData("text", 3_000_000)]
    [InlineData("text", 1_100_000)]
    [InlineData("text", 20_000_000)]
    [InlineData("value", 3_000_000)]
    [InlineData("bytes", 3_000_000)]
    [InlineData("stream", 3_000_000)]
    [InlineData("reader", 3_000_000)]
    [InlineData("transaction", 3_000_000)]
    public async Task Execute_LargerThanTheServerTakes_FailsAsAStatementAndItsSessionAloneIsReplaced(
        string how, int size)
    {
        await using DatabaseServer server = await DatabaseServer.StartNewAsync("--max-allowed-packet=1M");
        await using var fixture = new MySqlPoolFixture(server.ConnectionString());
        PooledDataSource pool = fixture.CreatePool(o =>
        {
            o.MaxConnections = 4;
            o.RentTimeout = TimeSpan.FromSeconds(20);
        });
        await using (MySqlConnection other = await fixture.ObserveAsync())
            await ExecuteAsync(other, "CREATE TABLE big (b LONGBLOB)");
        DbConnection[] neighbours = [.. await Task.WhenAll(
            Enumerable.Range(0, 3).Select(async _ => await pool.OpenConnectionAsync()))];
        foreach (DbConnection neighbour in neighbours) await neighbour.DisposeAsync();
        await UntilAsync(pool, s => s.Idle == 3);

        await using (DbConnection connection = await pool.OpenConnectionAsync())
        {
            await using DbTransaction? transaction =
                how == "transaction" ? await connection.BeginTransactionAsync() : null;
            await using DbCommand command = connection.CreateCommand();
            command.CommandText = "INSERT INTO big VALUES (@b)";
            if (how == "text") command.CommandText = $"INSERT INTO big VALUES ('{new string('x', size)}')";
            else
            {
                DbParameter value = command.CreateParameter();
                value.ParameterName = "@b";
                value.Value = how switch
                {
                    "bytes" => new byte[size],
                    "stream" => new MemoryStream(new byte[size]),
                    _ => new string('x', size),
                };
                command.Parameters.Add(value);
            }

            Exception error = await Assert.ThrowsAnyAsync<Exception>(
                () => how == "reader" ? command.ExecuteReaderAsync() : command.ExecuteNonQueryAsync());
            Assert.True(
                pool.Classify(error) == FailureKind.StatementFailed, $"{pool.Classify(error)}: {error}");
        }

        await using DbConnection next = await pool.OpenConnectionAsync();
        Assert.Equal(0, await ScalarAsync(next, "SELECT COUNT(*) FROM big"));
        await UntilAsync(pool, s => s.Closed["discarded"] > 0, 20, "the end of its session");
        Assert.Equal((1, 0), (pool.Snapshot().Closed["discarded"], pool.Snapshot().Closed["cleared"]));
    }

    [Fact]
    public async Task Execute_ParameterMissing_FailsAsAStatementAndTheSessionGoesOn()
    {
        var settings = new MySqlConnectionStringBuilder(Fixture.ConnectionString) { AllowUserVariables = false };
        await using var fixture = new MySqlPoolFixture(settings.ConnectionString);
        PooledDataSource pool = fixture.CreatePool(o => o.RentTimeout = TimeSpan.FromSeconds(20));
        await using DbConnection connection = await pool.OpenConnectionAsync();
        var error = await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, "SELECT @nothing"));
        Assert.Equal(FailureKind.StatementFailed, pool.Classify(error));
        await ExecuteAsync(connection, "SELECT 1");
        Assert.Equal(ConnectionState.Open, connection.State);
        Assert.Equal(1, pool.Snapshot().Opened);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("socket")]
    [InlineData("io")]
    [InlineData("end")]
    [InlineData("disposed")]
    [InlineData("timeout")]
    [InlineData("cancelled")]
    [InlineData("aggregate")]
    [InlineData("wrapped")]
    public void Classify_ExceptionOfOwnCode_IsNoFailureOfTheDatabase(string what) =>
        Assert.Equal(FailureKind.Other, Fixture.CreatePool().Classify(what switch
        {
            "http" => new HttpRequestException("x", new SocketException(111)),
            "socket" => new SocketException(111),
            "io" => new IOException("x"),
            "end" => new EndOfStreamException("x"),
            "disposed" => new ObjectDisposedException("x"),
            "timeout" => new TimeoutException("x"),
            "cancelled" => new OperationCanceledException("x"),
            "aggregate" => new AggregateException(new IOException("x")),
            _ => new InvalidOperationException("x", new ObjectDisposedException("y")),
        }));

    [Fact]
    public async Task Classify_DriversExceptionWrappedByOwnCode_IsWhatTheDriverSaid()
    {
        PooledDataSource pool = Fixture.CreatePool(o => o.RentTimeout = TimeSpan.FromSeconds(20));
        await using DbConnection connection = await pool.OpenConnectionAsync();
        var error = await Assert.ThrowsAsync<MySqlException>(() => ExecuteAsync(connection, "SELECT * FROM nowhere"));
        Assert.Equal(FailureKind.StatementFailed, pool.Classify(new InvalidOperationException("x", error)));
        Assert.Equal(FailureKind.StatementFailed, pool.Classify(new AggregateException(error)));
    }
}
