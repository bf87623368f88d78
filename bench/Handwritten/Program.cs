// The other side of the comparison: careful handwritten code over MySqlConnector's own pool, with byte-identical
// replies. The connection string has the settings of its pool.
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

// Handlers take only the context: no binding, no filters and no result objects.
app.MapGet("/", Users.RootAsync);
app.MapGet("/user/list", users.ListAsync);
app.MapGet("/user/{id}", users.GetAsync);
app.Run();
