using MySqlConnector;
using UPool.Testing;

namespace UPool.Cluster.Tests.Testing;

/// <summary>The SQL of <see cref="ServerFamily"/> means the same on each server.</summary>
public sealed class ServerFamilyTests
{
    private static ServerFamily Family => ServerFamily.Tested;

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(300_000)]
    public async Task Sequence_Count_HasEachNumberOnce(int count)
    {
        await using MySqlConnection connection = await OpenAsync();

        Assert.Equal(
            (count, count, 1, count),
            await RowAsync(
                connection,
                $"SELECT COUNT(*), COUNT(DISTINCT seq), MIN(seq), MAX(seq) FROM {Family.Sequence(count)}"));
    }

    [Fact]
    public async Task InTransaction_BetweenBeginAndCommit_IsOne()
    {
        await using MySqlConnection connection = await OpenAsync();

        Assert.Equal(0, await ScalarAsync(connection, $"SELECT {Family.InTransaction}"));
        await ScalarAsync(connection, "BEGIN");
        Assert.Equal(1, await ScalarAsync(connection, $"SELECT {Family.InTransaction}"));
        Assert.Equal(1, await ScalarAsync(connection, $"SELECT {Family.InTransaction}"));
        await ScalarAsync(connection, "COMMIT");
        Assert.Equal(0, await ScalarAsync(connection, $"SELECT {Family.InTransaction}"));
    }

    [Fact]
    public async Task Status_OfTheSession_CountsItsQuestions()
    {
        await using MySqlConnection connection = await OpenAsync();
        string questions = $"SELECT VARIABLE_VALUE FROM {Family.SessionStatus} WHERE VARIABLE_NAME = 'QUESTIONS'";
        string connections = $"SELECT VARIABLE_VALUE FROM {Family.GlobalStatus} WHERE VARIABLE_NAME = 'CONNECTIONS'";

        long before = await ScalarAsync(connection, questions);

        Assert.Equal(before + 1, await ScalarAsync(connection, questions));
        Assert.InRange(await ScalarAsync(connection, connections), 1, long.MaxValue);
    }

    private static async Task<MySqlConnection> OpenAsync()
    {
        // A private server's ordinary account, which may read less than the administrator.
        string database = (await (await SharedServer.GetAsync()).CreateDatabaseAsync()).ConnectionString;
        var connection = new MySqlConnection(database);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        return connection;
    }

    private static async Task<(int, int, int, int)> RowAsync(MySqlConnection connection, string statement)
    {
        await using var command = new MySqlCommand(statement, connection);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        Assert.True(await reader.ReadAsync(TestContext.Current.CancellationToken));
        return (reader.GetInt32(0), reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(3));
    }

    private static async Task<long> ScalarAsync(MySqlConnection connection, string statement)
    {
        await using var command = new MySqlCommand(statement, connection);
        return Convert.ToInt64(
            await command.ExecuteScalarAsync(TestContext.Current.CancellationToken),
            System.Globalization.CultureInfo.InvariantCulture);
    }
}
