// The other side of the comparison: what an engineer who cares writes by hand over MySqlConnector's own pool, with
// replies of the very same bytes. The connection string decides its pool's settings.
using MySqlConnector;

using UPool.Bench.Handwritten;

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(static kestrel => kestrel.AddServerHeader = false);
string connectionString = builder.Configuration.GetConnectionString("UPool")
    ?? throw new InvalidOperationException("ConnectionStrings:UPool is missing.");
await using var database = new MySqlDataSource(connectionString);
var users = new Users(database);
WebApplication app = builder.Build();

// Handlers of the context alone: nothing is bound or filtered, and no result object is made.
app.MapGet("/", Users.RootAsync);
app.MapGet("/user/list", users.ListAsync);
app.MapGet("/user/{id}", users.GetAsync);
app.Run();
