using UPool.Cluster.Registration;
using UPool.Grains;
using UPool.Hosting;
using UPool.Management;
using UPool.Silo;
using UPool.Sqlite;

SiloArguments arguments = SiloArguments.Parse(args);
if (arguments.Unknown is { } unknown)
{
    await Console.Error.WriteLineAsync($"Unknown argument '{unknown}'. UPool.Silo --help lists the known ones.");
    return 2;
}

if (arguments.Help)
{
    Console.WriteLine(SiloArguments.HelpText);
    return 0;
}

WebApplication app;
try
{
    // Without the arguments: all are known by now, and none is a setting.
    WebApplicationBuilder builder = WebApplication.CreateBuilder();
    builder.AddUPoolManagement(defaultUrl: null);
    builder.AddUPoolSqlite();
    builder.AddUsers();
    builder.AddUPoolSilo(silo =>
    {
        if (builder.Configuration.IsTraced()) silo.AddActivityPropagation();
    });
    if (arguments.Migrate || arguments.Seed)
    {
        await using WebApplication tool = builder.Build();
        if (arguments.Migrate) await tool.MigrateUPoolAsync();
        if (arguments.Seed) await UserSchema.SeedAsync(tool.GetToolDatabase(), default);
        return 0;
    }

    builder.RequireCluster();
    builder.Services.AddSingleton<LoadGenerator>();
    app = builder.Build();
    app.UseUPoolManagement();
    app.MapUPoolManagement();
    if (app.Environment.IsDevelopment()) LoadGenerator.Map(app);
    app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine(ReadyLine.Of(app)));
}
catch (Exception exception) when (exception is not HostAbortedException)
{
    // No host runs yet: print the error as RunUPoolAsync does.
    await Console.Error.WriteLineAsync(UPoolProgram.Describe(exception));
    return 1;
}

return await app.RunUPoolAsync();
