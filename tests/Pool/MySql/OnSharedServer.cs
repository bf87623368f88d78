using UPool.Testing;

namespace UPool.Tests.MySql;

/// <summary>Base class of tests that need their own database, but not their own server.</summary>
public abstract class OnSharedServer : IAsyncLifetime
{
    protected TestDatabase Database { get; private set; } = null!;

    protected MySqlPoolFixture Fixture { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Database = await (await SharedServer.GetAsync()).CreateDatabaseAsync();
        Fixture = new MySqlPoolFixture(Database.ConnectionString);
    }

    public async ValueTask DisposeAsync()
    {
        await Fixture.DisposeAsync();
        await Database.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
